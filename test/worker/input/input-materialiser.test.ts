import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silentLogger } from '../../../core/log/logger.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { type InputEntry, InputEntry_Kind } from '../../../proto/gen/ingot/v1/launcher.ts';
import { LocalBlobCache } from '../../../worker/blobs/local-blob-cache.ts';
import { InputMaterialiser } from '../../../worker/input/input-materialiser.ts';
import type { Sandbox } from '../../../worker/sandbox/sandbox.ts';
import { StoreRetries } from '../../../worker/store-retries.ts';
import { MemoryBlobStore } from '../../setup/memory-blob-store.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { storeTree } from '../stored-action.ts';

const PLACE = { leaseKey: 'lease-1', slot: 0 };

async function fixture(folder: string, bytesMax: number) {
  const store = new MemoryBlobStore();
  const retries = new StoreRetries({ logger: silentLogger, windowMs: 0 });
  const source = { folder: join(folder, 'blobs'), bytesMax, source: store, retries, logger: silentLogger };
  const blobCache = await LocalBlobCache.open(source);
  const added: InputEntry[] = [];
  const sandbox: Sandbox = {
    addInputs: async (_place, entries) => {
      added.push(...entries);
    },
    run: () => Promise.reject(new Error('nothing is run here')),
    collect: async () => [],
    remove: async () => undefined,
  };
  const materialiser = new InputMaterialiser({ blobStore: store, blobCache, sandbox, retries });
  return { store, blobCache, materialiser, added };
}

test('a blob at several places is fetched and counted once', async () => {
  await using folder = await tempFolder();
  const { store, materialiser, added } = await fixture(folder.path, 100);
  const root = storeTree(store, { a: 'same', b: { c: 'same', d: 'same' }, l: { symlink: 'a' } });
  using inputs = await materialiser.materialise(PLACE, { inputRootDigest: root, folders: ['b', 'o/p'] });
  expect([inputs.files, inputs.bytes]).toEqual([1, 4]);
  const shown = added.map(({ path, kind }) => `${Object.keys(InputEntry_Kind)[kind]} ${path}`);
  expect(shown).toEqual([
    'FILE a',
    'SYMLINK l',
    'DIRECTORY b',
    'FILE b/c',
    'FILE b/d',
    'DIRECTORY o',
    'DIRECTORY o/p',
  ]);
});

test('holds on to its blobs until it is disposed of', async () => {
  await using folder = await tempFolder();
  const { store, blobCache, materialiser } = await fixture(folder.path, 10);
  const request = { inputRootDigest: storeTree(store, { a: '01234567' }), folders: [] };
  const inputs = await materialiser.materialise(PLACE, request);
  const other = { digest: store.put(Buffer.from('89abcdef')), executable: false };
  expect((await rejection(blobCache.acquire(other))).code).toBe(Code.UNAVAILABLE);
  inputs[Symbol.dispose]();
  expect(await blobCache.acquire(other)).toBeDefined();
});

test('inputs larger than the cache are refused before anything is fetched', async () => {
  await using folder = await tempFolder();
  const { store, materialiser } = await fixture(folder.path, 10);
  const root = storeTree(store, { a: '01234567', b: 'abcdefgh' });
  store.reads.length = 0;
  const refused = materialiser.materialise(PLACE, { inputRootDigest: root, folders: [] });
  expect(await rejection(refused)).toMatchObject({
    code: Code.RESOURCE_EXHAUSTED,
    message: "the inputs have 16 bytes, more than the worker's blob cache of 10",
  });
  expect(store.reads).toEqual([root.hash]);
});
