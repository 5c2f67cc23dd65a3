import { expect, it } from 'vitest';
import { DiskParts } from '../../../cache/disk/disk-parts.ts';
import { DiskRoom } from '../../../cache/disk/disk-room.ts';
import { DiskUploads } from '../../../cache/disk/disk-uploads.ts';
import { noFailPoints } from '../../../core/fail-point.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { sampleBlob } from '../bytes.ts';

it('writes the small ones of several with a promise for all, and once more those whose commit failed', async () => {
  await using folder = await tempFolder();
  await using parts = await DiskParts.open({
    folder: folder.path,
    logger: silentLogger,
    failPoints: noFailPoints,
    segmentBytes: 1024 * 1024,
    recentBlobBytes: 0,
    invocationTtlMs: 0,
  });
  let evictions = 0;
  const room = new DiskRoom({
    limitBytes: 100_000_000,
    lowWaterBytes: 90_000_000,
    storedBytes: () => parts.storedBytes,
    async evictTo() {
      evictions += 1;
    },
  });
  const uploads = new DiskUploads({ parts, room, smallBlobBytesMax: 64 * 1024 });
  const blobs = Array.from({ length: 50 }, (_, seed) => sampleBlob(1000, seed));
  const wentWell = blobs.map(() => undefined);

  const write = parts.segments.write.bind(parts.segments);
  const promises = new Set<Promise<void>>();
  parts.segments.write = (...args) => {
    const promise = write(...args);
    promises.add(promise);
    return promise;
  };
  expect(await uploads.writeAll(0, blobs, {})).toEqual(wentWell);
  expect(promises.size).toBe(2);

  let failures = 0;
  for (const segment of parts.segments.log.segments.values()) {
    const writeAt = segment.writeAt.bind(segment);
    segment.writeAt = () => {
      segment.writeAt = writeAt;
      failures += 1;
      return Promise.reject(Object.assign(new Error('ENOSPC: test'), { code: 'ENOSPC' }));
    };
  }
  const more = Array.from({ length: 50 }, (_, seed) => sampleBlob(1000, 100 + seed));
  expect(await uploads.writeAll(0, more, {})).toEqual(wentWell);
  expect([failures, evictions]).toEqual([2, 0]);
  for (const { digest } of [...blobs, ...more]) expect(parts.visible(0, digest)).toBeGreaterThanOrEqual(0);
});
