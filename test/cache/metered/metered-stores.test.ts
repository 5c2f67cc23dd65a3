import { describe, expect, it } from 'vitest';
import { LevelActionCache } from '../../../cache/actions/level-action-cache.ts';
import { LevelRecords } from '../../../cache/actions/level-records.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { CacheCounters } from '../../../cache/metered/cache-counters.ts';
import { MeteredActionCache } from '../../../cache/metered/metered-action-cache.ts';
import { MeteredBlobStore } from '../../../cache/metered/metered-blob-store.ts';
import { cancelled, dataLoss, internal, resourceExhausted } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf } from '../../../core/streams.ts';
import { MemoryActionCache } from '../../setup/memory-action-cache.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { actionCacheContract } from '../action-cache-contract.ts';
import { blobStoreContract } from '../blob-store-contract.ts';
import { inPieces, readAll, sampleBlob } from '../bytes.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';
import { actionKey, result } from '../results.ts';

const nothingToClose = { [Symbol.asyncDispose]: async () => undefined };

function metered(inner: BlobStore = new MemoryBlobStore()) {
  const counters = new CacheCounters();
  return { counters, store: new MeteredBlobStore({ inner, counters }) };
}

/** A store whose every call fails. */
function failing(error: Error): BlobStore {
  const fail = async (): Promise<never> => {
    throw error;
  };
  return { findMissing: fail, read: fail, write: fail };
}

blobStoreContract('MeteredBlobStore', async () => ({ ...metered(), ...nothingToClose }));

actionCacheContract('MeteredActionCache', async () => {
  const folder = await tempFolder();
  const logger = silentLogger;
  const records = await LevelRecords.open({ folder: `${folder.path}/ac`, logger });
  const inner = new LevelActionCache({ records, logger });
  return {
    actionCache: new MeteredActionCache({ inner, counters: new CacheCounters() }),
    blobStore: new MemoryBlobStore(),
    async [Symbol.asyncDispose]() {
      await records.close();
      await folder[Symbol.asyncDispose]();
    },
  };
});

describe('MeteredBlobStore', () => {
  it('counts what is found, read and written', async () => {
    const { counters, store } = metered();
    const one = sampleBlob(1000, 1);
    const other = sampleBlob(2000, 2);
    await store.write(one.digest, bytesOf(one.bytes));
    await store.write(other.digest, inPieces(other.bytes));
    expect(counters).toMatchObject({ writes: { ok: 2, refused: 0, error: 0 }, writtenBytes: 3000 });
    await store.findMissing([one.digest, other.digest, sampleBlob(10, 3).digest]);
    expect(counters).toMatchObject({ blobsFound: 2, blobsMissing: 1 });
    await readAll(store, one.digest);
    await readAll(store, other.digest, { offset: 500, limit: 100 });
    await readAll(store, sampleBlob(10, 3).digest);
    expect(counters).toMatchObject({ reads: { hit: 2, miss: 1, error: 0 }, readBytes: 1100 });
  });

  it('counts each of several that are read together', async () => {
    const { counters, store } = metered();
    const blobs = [sampleBlob(1000, 1), sampleBlob(2000, 2)];
    await store.writeAll(blobs);
    await store.readAll([...blobs, sampleBlob(10, 3)].map(({ digest }) => digest));
    expect(counters).toMatchObject({ reads: { hit: 2, miss: 1, error: 0 }, readBytes: 3000 });
    const broken = metered(failing(internal('broken disk')));
    await broken.store.readAll(blobs.map(({ digest }) => digest));
    expect(broken.counters.reads).toEqual({ hit: 0, miss: 0, error: 2 });
  });

  it('counts each of several that are written together', async () => {
    const { counters, store } = metered();
    const blobs = [sampleBlob(1000, 1), sampleBlob(2000, 2)];
    const lie = { digest: sampleBlob(10, 3).digest, bytes: Buffer.from('other bytes') };
    await store.writeAll([...blobs, lie]);
    expect(counters).toMatchObject({ writes: { ok: 2, refused: 1, error: 0 }, writtenBytes: 3000 });
    const full = metered(failing(resourceExhausted('the disk is full')));
    await full.store.writeAll(blobs);
    expect(full.counters.writes).toEqual({ ok: 0, refused: 0, error: 2 });
    expect(full.counters.writeProblem).toBe('the disk is full');
  });

  it('counts writes that fail by whose fault it was, and remembers why the store could not', async () => {
    const { bytes, digest } = sampleBlob(10, 1);
    const { counters, store } = metered();
    await expect(store.write(digest, bytesOf(Buffer.from('other bytes')))).rejects.toThrow();
    expect([counters.writes, counters.writeProblem]).toEqual([{ ok: 0, refused: 1, error: 0 }, undefined]);
    for (const [error, problem] of [
      [cancelled('left'), undefined],
      [resourceExhausted('no room'), 'no room'],
      [internal('broken disk'), 'broken disk'],
    ] as const) {
      const { counters, store } = metered(failing(error));
      await expect(store.write(digest, bytesOf(bytes))).rejects.toBe(error);
      expect([counters.writes, counters.writeProblem]).toEqual([{ ok: 0, refused: 0, error: 1 }, problem]);
    }
  });

  it('counts reads that fail', async () => {
    const error = dataLoss('damaged');
    const { counters, store } = metered(failing(error));
    await expect(store.read(sampleBlob(10, 1).digest)).rejects.toBe(error);
    expect(counters.reads).toEqual({ hit: 0, miss: 0, error: 1 });
  });
});

describe('MeteredActionCache', () => {
  it('counts hits, misses, failures, and what is filed', async () => {
    const counters = new CacheCounters();
    const inner = new MemoryActionCache();
    const actionCache = new MeteredActionCache({ inner, counters });
    expect(counters.actionHitRate).toBeUndefined();
    await actionCache.get(actionKey(1));
    await actionCache.put(actionKey(1), result({ exitCode: 0 }));
    for (let hits = 0; hits < 3; hits++) await actionCache.get(actionKey(1));
    expect(counters.actionHitRate).toBe(0.75);
    inner.failure = internal('broken');
    await expect(actionCache.get(actionKey(1))).rejects.toBe(inner.failure);
    await expect(actionCache.put(actionKey(1), result())).rejects.toBe(inner.failure);
    expect(counters.actionReads).toEqual({ hit: 3, miss: 1, error: 1 });
    expect(counters.actionWrites).toEqual({ ok: 1, error: 1 });
  });
});
