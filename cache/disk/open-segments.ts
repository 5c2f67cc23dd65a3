import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { systemCodeOf } from '../../core/file-error.ts';
import type { Logger } from '../../core/log/logger.ts';
import { RecordHeaders } from './record-headers.ts';
import { SEGMENT_HEAD_BYTES, Segment } from './segment.ts';
import type { SegmentLayout } from './segment-layout.ts';
import type { RecordFields } from './segment-record.ts';
import { scanSegment } from './segment-scan.ts';
import { decodeSidecar } from './segment-sidecar.ts';

/** Is shown the records of all segments, oldest first. */
export type SegmentReplay = (record: RecordFields, segment: number) => void;

/** What {@link openSegments} depends on. */
export interface OpenSegmentsDependencies {
  readonly layout: SegmentLayout;
  readonly logger: Logger;
  readonly replay: SegmentReplay;
}

/** Segments as they were found. */
export interface OpenedSegments {
  readonly segments: readonly Segment[];
  /** Those without a good sidecar, and their headers to make one of. */
  readonly unsealed: readonly { readonly segment: Segment; readonly headers: RecordHeaders }[];
  /** Records that were lost to damage. */
  readonly damagedRecords: number;
}

/**
 * Opens all segments of a folder. One with a good sidecar is not read. Another is read whole: records are taken up
 * to the last good one, and a torn tail behind that is cut off. A segment whose head is damaged is set aside.
 */
export async function openSegments(dependencies: OpenSegmentsDependencies): Promise<OpenedSegments> {
  const { layout } = dependencies;
  const segments: Segment[] = [];
  const unsealed: OpenedSegments['unsealed'][number][] = [];
  let lost = 0;
  for (const number of await numbersIn(layout)) {
    const segment = await openSegment(number, dependencies);
    if (segment === undefined) continue;
    segments.push(segment);
    if (await replaySidecar(segment, dependencies)) continue;
    const { headers, damagedRecords } = await replayBytes(segment, dependencies);
    unsealed.push({ segment, headers });
    lost += damagedRecords;
  }
  return { segments, unsealed, damagedRecords: lost };
}

async function numbersIn(layout: SegmentLayout): Promise<number[]> {
  const names = await readdir(layout.folder);
  const numbers = names.flatMap((name) => layout.numberOf(name) ?? []).sort((a, b) => a - b);
  const sidecars = new Set(numbers.map((number) => basename(layout.sidecarPath(number))));
  for (const name of names) {
    // Left by a process that died as it wrote a sidecar, or as it dropped a segment.
    const isLeftOver = name.endsWith('.new') || (name.endsWith('.idx') && !sidecars.has(name));
    if (isLeftOver) await rm(join(layout.folder, name), { force: true });
  }
  return numbers;
}

async function openSegment(
  number: number,
  { layout, logger }: OpenSegmentsDependencies,
): Promise<Segment | undefined> {
  const path = layout.segmentPath(number);
  const segment = await Segment.open(path, number);
  if (segment !== undefined) return segment;
  const { size } = await stat(path);
  // Begun as the process died: it never held a record.
  if (size <= SEGMENT_HEAD_BYTES) await rm(path);
  else {
    await rename(path, `${path}.damaged`);
    logger.error({ segment: number, lostBytes: size }, 'a segment with a damaged head was set aside');
  }
  return undefined;
}

async function replaySidecar(
  segment: Segment,
  { layout, logger, replay }: OpenSegmentsDependencies,
): Promise<boolean> {
  let bytes: Buffer;
  try {
    bytes = await readFile(layout.sidecarPath(segment.number));
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw error;
  }
  const sidecar = decodeSidecar(bytes, segment);
  if (sidecar === undefined) {
    logger.error(
      { segment: segment.number },
      'the sidecar of a segment is damaged; the segment is read instead',
    );
    return false;
  }
  const { facts, records } = sidecar;
  if (facts.lengthBytes > segment.lengthBytes) {
    const missingBytes = facts.lengthBytes - segment.lengthBytes;
    logger.error({ segment: segment.number, missingBytes }, 'the end of a segment is missing');
    return false;
  }
  segment.lengthBytes = facts.lengthBytes;
  segment.usedSeconds = facts.usedSeconds;
  for (const record of records) replay(record, segment.number);
  return true;
}

async function replayBytes(
  segment: Segment,
  { logger, replay }: OpenSegmentsDependencies,
): Promise<{ readonly headers: RecordHeaders; readonly damagedRecords: number }> {
  const headers = new RecordHeaders();
  const bytes = await segment.read(0, segment.lengthBytes);
  const { endBytes, damagedBytes, damagedRecords } = scanSegment(bytes, segment.seed, (record, header) => {
    headers.add(header);
    replay(record, segment.number);
  });
  const tailBytes = bytes.length - endBytes;
  const found = { segment: segment.number, records: headers.count, tailBytes, damagedBytes, damagedRecords };
  if (damagedBytes > 0) logger.error(found, 'a segment has damaged records, which are lost');
  else logger.info(found, 'a segment was read for want of a sidecar');
  segment.lengthBytes = endBytes;
  if (tailBytes > 0) await segment.cut();
  // What an earlier process wrote and did not live to sync is about to be promised.
  await segment.sync();
  return { headers, damagedRecords };
}
