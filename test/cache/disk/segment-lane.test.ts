import { constants } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RecordHeaders } from '../../../cache/disk/record-headers.ts';
import { Segment } from '../../../cache/disk/segment.ts';
import { type ActiveSegment, SegmentLane } from '../../../cache/disk/segment-lane.ts';
import { RecordKind } from '../../../cache/disk/segment-record.ts';
import { noFailPoints } from '../../../core/fail-point.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { sampleBlob } from '../bytes.ts';

/** A lane over real segments in a folder, and what its host saw. */
async function openLane() {
  const folder = await tempFolder();
  const begun: Segment[] = [];
  const appended: number[] = [];
  const pathOf = (number: number) => join(folder.path, `${number}.seg`);
  const lane = new SegmentLane({
    logger: silentLogger,
    failPoints: noFailPoints,
    segmentBytes: 1024 * 1024,
    listener: { appended: (_, segment) => void appended.push(segment), failed: () => undefined },
    begin: async (): Promise<ActiveSegment> => {
      const number = begun.length + 1;
      const segment = await Segment.create(pathOf(number), number, 0);
      begun.push(segment);
      return { segment, headers: new RecordHeaders() };
    },
    seal: () => undefined,
    grew: () => undefined,
  });
  let seed = 0;
  return {
    begun,
    appended,
    pathOf,
    sizeOf: async (number: number) => (await stat(pathOf(number))).size,
    async append(): Promise<void> {
      seed += 1;
      const { bytes, digest } = sampleBlob(1000, seed);
      await lane.append({
        kind: RecordKind.blob,
        digest,
        id: seed,
        instance: 0,
        seconds: 0,
        payload: bytes,
      });
    },
    async [Symbol.asyncDispose]() {
      for (const segment of begun) await segment.retire();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** The next write leaves some bytes in the file and fails with the system's code. */
function failNextWrite(segment: Segment, code: string): void {
  const writeAt = segment.writeAt.bind(segment);
  segment.writeAt = async (position, parts, sizeBytes) => {
    segment.writeAt = writeAt;
    await writeAt(position, [Buffer.concat(parts, sizeBytes).subarray(0, 100)], 100);
    throw Object.assign(new Error(`${code}: test`), { code });
  };
}

it('goes on in the same segment after the disk was full, and cuts off what was written', async () => {
  await using lane = await openLane();
  await lane.append();
  const [segment] = lane.begun as [Segment];
  const goodBytes = segment.lengthBytes;
  failNextWrite(segment, 'ENOSPC');
  await expect(lane.append()).rejects.toThrow('no space is left on the disk');
  expect(await lane.sizeOf(1)).toBe(goodBytes);
  await lane.append();
  expect(lane.appended).toEqual([1, 1]);
  expect(await lane.sizeOf(1)).toBe(segment.lengthBytes);
});

it('writes nothing behind a write that failed otherwise, since a sync is part of it', async () => {
  await using lane = await openLane();
  await lane.append();
  const [segment] = lane.begun as [Segment];
  const goodBytes = segment.lengthBytes;
  failNextWrite(segment, 'EIO');
  await expect(lane.append()).rejects.toThrow('the file system failed');
  expect(await lane.sizeOf(1)).toBe(goodBytes);
  await lane.append();
  expect(lane.appended).toEqual([1, 2]);
  expect(segment.lengthBytes).toBe(goodBytes);
});

/** What the file was opened with, as the system says. */
async function openFlagsOf(path: string): Promise<number> {
  for (const fd of await readdir('/proc/self/fd')) {
    const target = await readlink(`/proc/self/fd/${fd}`).catch(() => undefined);
    if (target !== path) continue;
    const flags = /^flags:\s+(?<octal>\d+)$/mu.exec(await readFile(`/proc/self/fdinfo/${fd}`, 'utf8'));
    return Number.parseInt(flags?.groups?.octal ?? '', 8);
  }
  throw new Error(`${path} is not open`);
}

it.runIf(process.platform === 'linux')('has the system sync what it writes, as it writes it', async () => {
  await using lane = await openLane();
  await lane.append();
  expect((await openFlagsOf(lane.pathOf(1))) & constants.O_DSYNC).toBe(constants.O_DSYNC);
});
