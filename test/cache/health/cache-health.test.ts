import { describe, expect, it } from 'vitest';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { CacheHealth } from '../../../cache/health/cache-health.ts';
import { CacheCounters } from '../../../cache/metered/cache-counters.ts';
import { MeteredBlobStore } from '../../../cache/metered/metered-blob-store.ts';
import { resourceExhausted, unavailable } from '../../../core/error.ts';
import { bytesOf } from '../../../core/streams.ts';
import { sampleBlob } from '../bytes.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';

function setUp() {
  const memory = new MemoryBlobStore();
  const disk = { error: undefined as Error | undefined, writes: 0 };
  const inner: BlobStore = {
    findMissing: (digests, options) => memory.findMissing(digests, options),
    read: (digest, range, options) => memory.read(digest, range, options),
    async write(digest, source, options) {
      disk.writes += 1;
      if (disk.error !== undefined) throw disk.error;
      await memory.write(digest, source, options);
    },
  };
  const counters = new CacheCounters();
  const blobStore = new MeteredBlobStore({ inner, counters });
  const clock = { ms: 0 };
  const health = new CacheHealth({ blobStore, counters, now: () => clock.ms });
  const write = () => {
    const { bytes, digest } = sampleBlob(10, 1);
    return blobStore.write(digest, bytesOf(bytes));
  };
  return { disk, clock, health, write };
}

describe('CacheHealth', () => {
  it('writes nothing of its own while all is well', async () => {
    const { disk, health, write } = setUp();
    expect(await health.problem()).toBeUndefined();
    await write();
    expect(await health.problem()).toBeUndefined();
    expect(disk.writes).toBe(1);
  });

  it('says why the store cannot write, and finds out by itself that it can again', async () => {
    const { disk, clock, health, write } = setUp();
    disk.error = resourceExhausted('no space is left');
    await expect(write()).rejects.toBe(disk.error);
    expect(await health.problem()).toBe('the store cannot write: no space is left');
    disk.error = unavailable('the disk is away');
    clock.ms += 1_000;
    expect(await health.problem()).toBe('the store cannot write: the disk is away');
    disk.error = undefined;
    clock.ms += 1_000;
    expect(await health.problem()).toBeUndefined();
  });

  it('tries a failed store again no more than once a second, however often it is asked', async () => {
    const { disk, clock, health, write } = setUp();
    disk.error = resourceExhausted('full');
    await expect(write()).rejects.toBe(disk.error);
    await Promise.all(Array.from({ length: 20 }, () => health.problem()));
    expect(disk.writes).toBe(2);
    clock.ms += 999;
    await health.problem();
    expect(disk.writes).toBe(2);
    clock.ms += 1;
    await health.problem();
    expect(disk.writes).toBe(3);
  });

  it('is unwell once it closes', async () => {
    const { health } = setUp();
    health.close();
    expect(await health.problem()).toBe('the cache is closing');
  });
});
