import { describe, expect, it } from 'vitest';
import { CompletenessCheckingActionCache } from '../../../cache/actions/completeness-checking-action-cache.ts';
import { unavailable } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { waitUntil } from '../../setup/wait-until.ts';
import { actionCacheContract } from '../action-cache-contract.ts';
import { sampleBytes } from '../bytes.ts';
import { store } from '../directories.ts';
import { actionKey, outputFiles, result, shown } from '../results.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { openTierUnderTest } from './tier-under-test.ts';

actionCacheContract('TieredActionCache', async () => {
  const node = await openTierUnderTest({ objectStore: new MemoryObjectStore() });
  return {
    actionCache: node.tier.actionCache,
    blobStore: node.store,
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
});

/** A node's action cache as it is composed, completeness outermost. */
async function openNode(objectStore: MemoryObjectStore) {
  const node = await openTierUnderTest({ objectStore });
  const actionCache = new CompletenessCheckingActionCache({
    inner: node.tier.actionCache,
    blobStore: node.store,
    logger: silentLogger,
  });
  const settled = () => waitUntil('the queue to be empty', () => node.tier.status().queued === 0);
  return { ...node, actionCache, settled };
}

describe('TieredActionCache', () => {
  it('gives one node the results of another, with their blobs', async () => {
    const objectStore = new MemoryObjectStore();
    await using first = await openNode(objectStore);
    await using second = await openNode(objectStore);
    const key = actionKey(1, 'team/a');
    const filed = result({ outputFiles: outputFiles({ 'a.o': await store(first.store, sampleBytes(100)) }) });
    await first.actionCache.put(key, filed);
    await first.settled();
    expect(shown(await second.actionCache.get(key))).toEqual(shown(filed));
    expect(await second.actionCache.get({ ...key, instanceName: 'team/b' })).toBeUndefined();
    objectStore.failure = unavailable('the connection was lost');
    expect(shown(await second.tier.actionCache.get(key)), 'kept by the second node').toEqual(shown(filed));
  });

  it('answers for a result whose blobs are not there as if there were none, and leaves it in the object store', async () => {
    const objectStore = new MemoryObjectStore();
    await using first = await openNode(objectStore);
    await using second = await openNode(objectStore);
    const key = actionKey(2);
    const digest = await store(first.store, sampleBytes(100, 2));
    const filed = result({ outputFiles: outputFiles({ 'a.o': digest }) });
    await first.actionCache.put(key, filed);
    await first.settled();
    const name = `prefix/@/cas/sha256/${digest.hash}`;
    const blob = objectStore.objects.get(name);
    objectStore.objects.delete(name);
    expect(await second.actionCache.get(key)).toBeUndefined();
    objectStore.objects.set(name, blob!);
    expect(shown(await second.actionCache.get(key))).toEqual(shown(filed));
  });

  it('uploads the newest of several results that come while one is under way', async () => {
    const objectStore = new MemoryObjectStore();
    await using first = await openNode(objectStore);
    await using second = await openNode(objectStore);
    const gate = Promise.withResolvers<void>();
    objectStore.gate = gate.promise;
    const key = actionKey(3);
    await first.actionCache.put(key, result({ stdoutRaw: Buffer.from('old') }));
    await waitUntil('the upload to begin', () => objectStore.calls.put === 1);
    await first.actionCache.put(key, result({ stdoutRaw: Buffer.from('new') }));
    gate.resolve();
    await first.settled();
    expect(objectStore.calls.put).toBe(2);
    expect((await second.actionCache.get(key))?.stdoutRaw.toString()).toBe('new');
  });

  it('takes a damaged result, and any while the object store is away, for none', async () => {
    const objectStore = new MemoryObjectStore();
    await using first = await openNode(objectStore);
    await using second = await openNode(objectStore);
    const key = actionKey(4);
    await first.actionCache.put(key, result({ stdoutRaw: Buffer.from('right') }));
    await first.settled();
    objectStore.failure = unavailable('the connection was lost');
    expect(await second.actionCache.get(key)).toBeUndefined();
    objectStore.failure = undefined;
    const [name = '', bytes] = [...objectStore.objects][0] ?? [];
    const damaged = Buffer.from(bytes!);
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    for (const wrong of [damaged, Buffer.alloc(3), Buffer.alloc(5 * 1024 * 1024)]) {
      objectStore.objects.set(name, wrong);
      expect(await second.actionCache.get(key)).toBeUndefined();
    }
    expect(second.tier.status()).toMatchObject({ damaged: 3, unanswered: 1 });
    expect(second.logger.at('error')[0]).toMatchObject({
      fields: { key: name },
      message: 'an action result in the object store is damaged, and taken for absent',
    });
    await second.actionCache.put(key, result({ stdoutRaw: Buffer.from('right') }));
    await second.settled();
    await using third = await openNode(objectStore);
    expect((await third.actionCache.get(key))?.stdoutRaw.toString()).toBe('right');
  });
});
