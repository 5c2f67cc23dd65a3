import { describe, expect, it } from 'vitest';
import { authorisedStoresOf } from '../../../cache/authorised/authorised-stores.ts';
import { type Caller, callerRoles, type Right } from '../../../core/caller.ts';
import { Digest } from '../../../core/digest.ts';
import { bytesOf } from '../../../core/streams.ts';
import { ActionResult } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { MemoryActionCache } from '../../setup/memory-action-cache.ts';
import { rejection, thrown } from '../../setup/rejection.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';

const BYTES = Buffer.from('a blob');
const DIGEST = Digest.ofBytes(BYTES);

function caller(rights: readonly Right[], instanceNames?: readonly string[]): Caller {
  return {
    name: 'ann',
    rights: new Set(rights),
    ...(instanceNames && { instanceNames: new Set(instanceNames) }),
  };
}

function open() {
  const asked: string[] = [];
  const stores = { blobStore: new MemoryBlobStore(), actionCache: new MemoryActionCache() };
  const storesOf = authorisedStoresOf((instanceName) => {
    asked.push(instanceName);
    return stores;
  });
  return { asked, stores, storesOf };
}

describe('authorisedStoresOf', () => {
  it('refuses an instance of others, and asks nobody for it', () => {
    const { asked, storesOf } = open();
    const ann = caller(callerRoles.publisher, ['a', '']);
    for (const name of ['b', 'a/b', 'A']) {
      const error = thrown(() => storesOf(name, ann));
      expect([error.code, error.message]).toEqual([
        Code.PERMISSION_DENIED,
        `ann may not use the instance ${JSON.stringify(name)}`,
      ]);
    }
    for (const name of ['../a', 'a/../b', 'blobs', 'x'.repeat(10_240)]) {
      expect(thrown(() => storesOf(name, ann)).code).toBe(Code.INVALID_ARGUMENT);
    }
    expect(asked).toEqual([]);
    storesOf('a', ann);
    storesOf('', ann);
    expect(asked).toEqual(['a', '']);
  });

  it('lets through what the rights cover, and says which right is missing for the rest', async () => {
    const { storesOf } = open();
    const key = { instanceName: '', actionDigest: DIGEST };
    const deny = async (promise: Promise<unknown>, message: string) => {
      const error = await rejection(promise);
      expect([error.code, error.message]).toEqual([Code.PERMISSION_DENIED, message]);
    };
    const writer = storesOf('', caller(['write']));
    await writer.blobStore.write(DIGEST, bytesOf(BYTES));
    expect(await writer.blobStore.findMissing([DIGEST])).toEqual([]);
    await deny(writer.blobStore.read(DIGEST), 'read a blob: ann lacks the right read');
    await deny(writer.actionCache.get(key), 'read an action result: ann lacks the right read');

    const reader = storesOf('', caller(['read']));
    expect(await reader.blobStore.read(DIGEST)).toBeDefined();
    expect(await reader.actionCache.get(key)).toBeUndefined();
    await deny(reader.blobStore.write(DIGEST, bytesOf(BYTES)), 'upload a blob: ann lacks the right write');
    const several = [{ digest: DIGEST, bytes: BYTES }];
    expect(await writer.blobStore.writeAll?.(several)).toEqual([undefined]);
    expect(await reader.blobStore.writeAll?.(several)).toMatchObject([
      { code: Code.PERMISSION_DENIED, message: 'upload a blob: ann lacks the right write' },
    ]);
    expect(await reader.blobStore.readAll?.([DIGEST])).toEqual([Buffer.from(BYTES)]);
    expect(await writer.blobStore.readAll?.([DIGEST])).toMatchObject([
      { code: Code.PERMISSION_DENIED, message: 'read a blob: ann lacks the right read' },
    ]);
    const result = ActionResult.create({ exitCode: 0 });
    await deny(reader.actionCache.put(key, result), 'file an action result: ann lacks the right publish');

    const none = storesOf('', caller(['execute', 'work']));
    await deny(none.blobStore.findMissing([DIGEST]), 'look for blobs: ann lacks the right read or write');
  });

  it('adds nothing for a caller who may do everything', () => {
    const { stores, storesOf } = open();
    expect(storesOf('', caller(callerRoles.publisher))).toBe(stores);
  });
});
