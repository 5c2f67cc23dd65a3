import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { DiskBlobStore } from '../../cache/disk/disk-blob-store.ts';
import { retryInfo } from '../../core/error-details.ts';
import { bytesOf } from '../../core/streams.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { inPieces, readAll, sampleBlob } from '../cache/bytes.ts';
import { recordingLogger } from '../setup/recording-logger.ts';
import { rejection } from '../setup/rejection.ts';
import { smallDisk } from '../setup/small-disk.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { fault } from './fault.ts';

const DISK_BYTES = 16 * 1024 * 1024;
const OPTIONS = { recentBlobBytes: 0, invocationTtlMs: 600_000, logger: recordingLogger() };

let seed = 0;
const fresh = (sizeBytes: number) => {
  seed += 1;
  return sampleBlob(sizeBytes, seed);
};

const skip = process.getuid?.() === 0 ? undefined : 'mounting a small disk takes root';

fault(
  'R10',
  'six hundred uploads to a disk of 16 MiB: eviction makes room, and others keep theirs',
  async (saw) => {
    await using temp = await tempFolder();
    const folder = join(temp.path, 'disk');
    await using _ = await smallDisk(folder, DISK_BYTES);
    await using disk = await DiskBlobStore.open({ folder, ...OPTIONS });
    const store = disk.forInstance('');
    for (let round = 0; round < 600; round += 1) {
      const { bytes, digest } = fresh(round % 10 === 0 ? 300_000 : 30_000);
      await store.write(digest, round % 2 === 0 ? bytesOf(bytes) : inPieces(bytes));
      expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
    }
    const { limitBytes, storedBytes, evictedBlobs } = disk.stats;
    saw(`600 blobs written: limit ${limitBytes}, stored ${storedBytes}, evicted ${evictedBlobs} blobs`);
    expect(limitBytes).toBeLessThan(DISK_BYTES * 0.81);
    expect(storedBytes).toBeLessThanOrEqual(limitBytes);
    expect(evictedBlobs).toBeGreaterThan(100);
  },
  { skip },
);

for (const [what, invocationId] of [
  ['of which a live build holds all', 'build'],
  ['that someone else fills', undefined],
] as const) {
  fault(
    'R10',
    `uploads to a disk ${what}, until there is room again`,
    async (saw) => {
      await using temp = await tempFolder();
      const folder = join(temp.path, 'disk');
      await using _ = await smallDisk(folder, DISK_BYTES);
      // A limit that the disk cannot keep.
      await using disk = await DiskBlobStore.open({ folder, ...OPTIONS, limitBytes: 4 * DISK_BYTES });
      const store = disk.forInstance('');
      const kept = Array.from({ length: 100 }, () => fresh(20_000));
      const large = Array.from({ length: 10 }, () => fresh(200_000));
      for (const { bytes, digest } of [...kept, ...large]) {
        await store.write(digest, bytesOf(bytes), { invocationId });
      }
      const filler = join(folder, 'filler');
      await writeFile(filler, Buffer.alloc(DISK_BYTES)).catch(() => undefined);

      let refused = 0;
      for (const sizeBytes of [20_000, 1_000_000, 20_000, 1_000_000, 3_000_000]) {
        for (const source of [bytesOf, inPieces]) {
          const { bytes, digest } = fresh(sizeBytes);
          try {
            await store.write(digest, source(bytes));
            expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
          } catch (error) {
            refused += 1;
            const seen = await rejection(Promise.reject(error));
            expect([seen.code, seen.message, seen.details]).toEqual([
              Code.RESOURCE_EXHAUSTED,
              expect.stringMatching(/^Write .*: no space is left on the disk$/),
              [retryInfo(5000)],
            ]);
            expect(await store.findMissing([digest])).toEqual([digest]);
          }
        }
      }
      if (invocationId !== undefined) {
        expect(refused).toBeGreaterThan(5);
        for (const { bytes, digest } of [...kept, ...large]) {
          expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
        }
      }
      expect(await readdir(join(folder, 'incoming'))).toEqual([]);

      await rm(filler);
      const after = [fresh(20_000), fresh(1_000_000), fresh(20_000)];
      for (const { bytes, digest } of after) await store.write(digest, inPieces(bytes));
      saw(
        `${refused} of 10 writes were RESOURCE_EXHAUSTED, all reads went on; writes were taken again without a restart`,
      );
      await disk.close();
      await using again = await DiskBlobStore.open({ folder, ...OPTIONS, limitBytes: 4 * DISK_BYTES });
      for (const { bytes, digest } of after) {
        expect((await readAll(again.forInstance(''), digest))?.equals(bytes)).toBe(true);
      }
    },
    { skip },
  );
}
