import { describe, expect, it } from 'vitest';
import { bytesOf } from '../../../core/streams.ts';
import { damageStoredBlob } from '../../setup/stored-blobs.ts';
import { readAll, sampleBlob } from '../bytes.ts';
import { openDiskStore } from './open-disk-store.ts';

const MIB = 2 ** 20;

describe('the scrub of a DiskBlobStore', () => {
  it('finds damaged records and files that nobody reads, and leaves the others', async () => {
    await using opened = await openDiskStore({
      segmentBytes: 64 * 1024,
      scrubBytesPerSecond: 1000 * MIB,
      scrubPauseMs: 300,
    });
    const blobs = [
      ...Array.from({ length: 60 }, (_, seed) => sampleBlob(3000, seed)),
      ...[61, 62, 63].map((seed) => sampleBlob(200_000, seed)),
    ];
    for (const { bytes, digest } of blobs) await opened.store.write(digest, bytesOf(bytes));
    const damaged = [blobs[7]!, blobs[61]!];
    for (const { digest } of damaged) await damageStoredBlob(opened.folder, digest);
    await expect.poll(() => opened.disk.stats.corruptBlobs, { timeout: 10_000 }).toBe(2);
    expect(opened.disk.stats.scrubbedBytes).toBeGreaterThan(100_000);
    const digests = blobs.map(({ digest }) => digest);
    expect((await opened.store.findMissing(digests)).map(String)).toEqual(
      damaged.map(({ digest }) => String(digest)),
    );
    for (const { bytes, digest } of damaged) {
      await opened.store.write(digest, bytesOf(bytes));
      expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
    }
  });

  it('keeps to its rate, and goes on after a restart where it was', async () => {
    await using opened = await openDiskStore({
      segmentBytes: 64 * 1024,
      scrubBytesPerSecond: 200_000,
      // All is written before the first round.
      scrubPauseMs: 2000,
    });
    const blobs = Array.from({ length: 200 }, (_, seed) => sampleBlob(3000, seed));
    await Promise.all(blobs.map(({ bytes, digest }) => opened.store.write(digest, bytesOf(bytes))));
    await expect.poll(() => opened.disk.stats.scrubbedBytes, { timeout: 10_000 }).toBeGreaterThan(0);
    const startMs = performance.now();
    await expect.poll(() => opened.disk.stats.scrubbedBytes, { timeout: 10_000 }).toBeGreaterThan(300_000);
    expect(performance.now() - startMs).toBeGreaterThan(1000);
    expect(opened.disk.stats.scrubRounds).toBe(0);
    await opened.reopen();
    // Two thirds at most are left of a round of 600,000 bytes.
    await expect.poll(() => opened.disk.stats.scrubRounds, { timeout: 10_000 }).toBe(1);
    expect(opened.disk.stats.scrubbedBytes).toBeLessThan(450_000);
  });
});
