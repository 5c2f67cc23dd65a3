import { hash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestFile } from '../../cli/client/file-digest.ts';
import { fileFactsOf } from '../../cli/client/file-facts.ts';
import { Digest, DigestHasher } from '../../core/digest.ts';
import { ContentAddressableStorageDefinition } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { ServerUnderFault } from '../faults/server-under-fault.ts';
import { type Epoch, writeCheckpoint, writeNextEpoch } from '../setup/checkpoint-file.ts';
import { CountingProxy } from '../setup/counting-proxy.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { ingot } from './cli-process.ts';
import { UpFarm } from './up-farm.ts';

const MIB = 1024 * 1024;
/** The checkpoint has 1 GiB; an eighth of it shows the same, in an eighth of the time. */
const CHECKPOINT_BYTES = (process.env.INGOT_TEST_LONG === '1' ? 1024 : 128) * MIB;

let folder: Awaited<ReturnType<typeof tempFolder>>;
let cache: ServerUnderFault;
let proxy: CountingProxy;
let firstSentBytes: number;
const path = (name: string) => join(folder.path, name);

beforeAll(async () => {
  folder = await tempFolder();
  cache = await ServerUnderFault.start(path('data'));
  proxy = await CountingProxy.open(Number(cache.grpc.split(':')[1]));
  await writeCheckpoint(path('first'), CHECKPOINT_BYTES);
  ({ sentBytes: firstSentBytes } = await upload('first'));
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await cache[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** Uploads as a person does, and says what went over the wire. */
async function upload(name: string) {
  proxy.take();
  const ended = await ingot(['--endpoint', `127.0.0.1:${proxy.port}`, 'upload', name], { cwd: folder.path });
  expect(ended.stderr).not.toContain('error');
  expect(ended.code).toBe(0);
  const { sentBytes } = proxy.take();
  return { sentBytes, digest: ended.stdout.split(' ')[0] ?? '' };
}

describe('the second epoch of a checkpoint', () => {
  it('is preceded by a first one that costs its size', () => {
    expect(firstSentBytes).toBeGreaterThan(CHECKPOINT_BYTES);
    expect(firstSentBytes).toBeLessThan(CHECKPOINT_BYTES * 1.02);
  });

  const epochs: readonly (readonly [string, Epoch, number])[] = [
    ['5 % of its bytes in 4 stretches', { changedShare: 0.05, regions: 4 }, 0.1],
    [
      '5 % of its bytes, and a byte put in front of all',
      { changedShare: 0.05, regions: 3, insertedBytes: 1 },
      0.1,
    ],
    ['nothing but a byte put in front of all', { changedShare: 0, regions: 1, insertedBytes: 1 }, 0.02],
  ];
  for (const [index, [change, epoch, shareMax]] of epochs.entries()) {
    it(`which changes ${change}, costs under ${shareMax * 100} % of the upload, and comes back bit for bit`, async () => {
      const name = `epoch-${index}`;
      await writeNextEpoch(path('first'), path(name), epoch, index + 10);
      const { sentBytes, digest } = await upload(name);
      expect(sentBytes / firstSentBytes).toBeLessThan(shareMax);

      const back = await ingot(
        ['--endpoint', `127.0.0.1:${proxy.port}`, 'download', digest, `${name}.back`],
        { cwd: folder.path },
      );
      expect(back.code).toBe(0);
      expect(await sameFiles(path(name), path(`${name}.back`))).toBe(true);

      const { chunks, bytes } = await readBySplit(await digestOf(name));
      expect(chunks).toBeGreaterThan(CHECKPOINT_BYTES / (2 * MIB));
      expect(String(bytes)).toBe(digest);
    });
  }

  it('costs a question when it is the same', async () => {
    const { sentBytes } = await upload('first');
    expect(sentBytes).toBeLessThan(10_000);
  });
});

describe('a checkpoint that an action writes', () => {
  it('is kept as chunks, also where worker and cache share a process', async () => {
    await using farm = await UpFarm.start();
    const command = ['sh', '-c', 'seq 1 1200000 > weights'];
    const flags = ['--endpoint', farm.endpoint, 'run', '--output', 'weights', '--'];
    const ended = await ingot([...flags, ...command], { cwd: folder.path });
    expect(ended.code, ended.stderr).toBe(0);
    const { hash: name } = await digestOf('weights');
    expect(await readFile(path('weights'), 'utf8')).toMatch(/\n1200000\n$/);
    const files = await readdir(join(farm.data, 'cache', 'cas-v1', 'sha256'), { recursive: true });
    expect(files.filter((file) => file.endsWith(name))).toEqual([]);
    expect(files.filter((file) => file.length > 64).length).toBeGreaterThan(8);
  });
});

/** The blob put together from the chunks SplitBlob names, hashed; how many there were. */
async function readBySplit(digest: Digest) {
  const cas = cache.channel.client(ContentAddressableStorageDefinition);
  const { chunkDigests } = await cas.splitBlob({
    instanceName: '',
    blobDigest: digest.toMessage(),
    digestFunction: 0,
    chunkingFunction: 1,
  });
  const hasher = new DigestHasher(digest.digestFunction);
  for (const message of chunkDigests) {
    for await (const bytes of (await cache.blobs.read(Digest.fromMessage(message))) ?? [])
      hasher.update(bytes);
  }
  return { chunks: chunkDigests.length, bytes: hasher.digest() };
}

async function digestOf(name: string): Promise<Digest> {
  const stats = await stat(path(name), { bigint: true });
  return (await digestFile(fileFactsOf(path(name), stats))).digest;
}

async function sameFiles(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([readFile(a), readFile(b)]);
  return hash('sha256', first) === hash('sha256', second) && first.equals(second);
}
