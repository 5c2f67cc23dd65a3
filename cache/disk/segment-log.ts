import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { Semaphore } from '../../core/concurrency.ts';
import { DirectorySync } from '../../core/directory-sync.ts';
import type { FailPoints } from '../../core/fail-point.ts';
import type { Logger } from '../../core/log/logger.ts';
import { openSegments, type SegmentReplay } from './open-segments.ts';
import { RecordHeaders } from './record-headers.ts';
import { Segment } from './segment.ts';
import type { SegmentAppend, SegmentAppendListener } from './segment-append.ts';
import { type ActiveSegment, SegmentLane } from './segment-lane.ts';
import { SegmentLayout } from './segment-layout.ts';
import { type RecordFields, RecordKind } from './segment-record.ts';
import { scanSegment } from './segment-scan.ts';
import { decodeSidecar, encodeSidecar } from './segment-sidecar.ts';

/**
 * Segments that are written to at once. While one is synced the other gathers: with 64 uploads of 16 KiB in flight, two
 * files took 1.5 times as many as one, and a third took no more.
 */
const LANES = 2;

/** Where a process can be made to die while it appends to a segment, in order. */
export const segmentFailPoints = [
  'cas.segment_before_write',
  'cas.segment_half_written',
  'cas.segment_after_write',
  'cas.segment_sealed',
  'cas.segment_dropped',
] as const;

/** What a {@link SegmentLog} depends on. */
export interface SegmentLogDependencies {
  /** Of the cache; the segments' folder is made in it. */
  readonly folder: string;
  readonly logger: Logger;
  readonly failPoints: FailPoints;
  /** A segment of this length is sealed and the next one begun. */
  readonly segmentBytes: number;
}

/**
 * Append-only segments, oldest first, of which a few are written to side by side. What a record says of an earlier one
 * stands in the same segment behind it or in one of a higher number; records with bytes have no order among them.
 */
export class SegmentLog implements AsyncDisposable {
  readonly #layout: SegmentLayout;
  readonly #logger: Logger;
  readonly #failPoints: FailPoints;
  readonly #segments = new Map<number, Segment>();
  readonly #directories = new DirectorySync();
  readonly #lanes: readonly SegmentLane[];
  readonly #sealing = new Set<Promise<void>>();
  /** Numbers are given in the order in which segments enter. */
  readonly #beginning = new Semaphore(1);
  #last = 0;
  #sizeBytes = 0;
  #changes = 0;
  #damagedRecords = 0;

  private constructor(
    { folder, logger, failPoints, segmentBytes }: SegmentLogDependencies,
    listener: SegmentAppendListener,
  ) {
    this.#layout = new SegmentLayout(folder);
    this.#logger = logger;
    this.#failPoints = failPoints;
    const host = {
      ...{ logger, failPoints, segmentBytes, listener },
      begin: () => this.#begin(),
      seal: (active: ActiveSegment) => this.#seal(active),
      grew: (bytes: number) => {
        this.#sizeBytes += bytes;
      },
    };
    this.#lanes = Array.from({ length: LANES }, () => new SegmentLane(host));
  }

  /** Opens the log and shows every record it holds, oldest first, to `replay`. */
  static async open(
    dependencies: SegmentLogDependencies,
    { replay, ...listener }: SegmentAppendListener & { readonly replay: SegmentReplay },
  ): Promise<SegmentLog> {
    const log = new SegmentLog(dependencies, listener);
    await mkdir(log.#layout.folder, { recursive: true });
    const opened = await openSegments({ ...dependencies, layout: log.#layout, replay });
    const { segments, unsealed } = opened;
    log.#damagedRecords = opened.damagedRecords;
    for (const segment of segments) log.#enter(segment);
    log.#last = Math.max(0, ...log.#segments.keys());
    for (const active of unsealed) {
      // Nothing may be written to one below the last: it could be of what is in the last.
      const isLast = active.segment.number === log.#last;
      if (!isLast || log.#lanes[0]?.adopt(active) !== true) log.#seal(active);
    }
    await log.#directories.sync(log.#layout.folder);
    await log.#directories.sync(dependencies.folder);
    return log;
  }

  /** Bytes of all segments. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Records that were found damaged when the log was opened, and are lost. */
  get damagedRecords(): number {
    return this.#damagedRecords;
  }

  /** Grows whenever a segment is begun or dropped. */
  get changes(): number {
    return this.#changes;
  }

  /** No segment up to this number is written to. */
  get lastSealed(): number {
    return Math.min(this.#last, ...this.#activeSegments().map(({ number }) => number - 1));
  }

  /** The oldest one that is no longer written to, if any, and not one of those. */
  oldestSealed(besides: ReadonlySet<number>): Segment | undefined {
    const active = this.#activeSegments();
    for (const segment of this.#segments.values()) {
      if (!active.includes(segment) && !besides.has(segment.number)) return segment;
    }
    return undefined;
  }

  /** All segments by number, oldest first. */
  get segments(): ReadonlyMap<number, Segment> {
    return this.#segments;
  }

  /** Resolves when the record is durable and the listener knows; rejects when it could not be written. */
  append(append: SegmentAppend): Promise<void> {
    const isNew = append.kind === RecordKind.blob && append.from === undefined;
    return (isNew ? this.#idlestLane() : this.#highestLane()).append(append);
  }

  /** The records of a sealed segment, in order. */
  async recordsOf(segment: Segment): Promise<readonly RecordFields[]> {
    await Promise.all(this.#sealing);
    const bytes = await readFile(this.#layout.sidecarPath(segment.number)).catch(() => undefined);
    const sidecar = bytes === undefined ? undefined : decodeSidecar(bytes, segment);
    if (sidecar !== undefined) return sidecar.records;
    const records: RecordFields[] = [];
    scanSegment(await segment.read(0, segment.lengthBytes), segment.seed, (record) => records.push(record));
    return records;
  }

  /** Deletes a sealed segment and all it holds. Writes nothing, so that it also works on a full disk. */
  async drop(segment: Segment): Promise<void> {
    await Promise.all(this.#sealing);
    if (!this.#segments.delete(segment.number)) return;
    this.#sizeBytes -= segment.lengthBytes;
    this.#changes += 1;
    await rm(this.#layout.segmentPath(segment.number), { force: true });
    this.#failPoints.pass('cas.segment_dropped');
    await rm(this.#layout.sidecarPath(segment.number), { force: true });
    await segment.retire();
  }

  /** Waits for appends and sidecars under way, and closes the files. */
  async close(): Promise<void> {
    for (const lane of this.#lanes) await lane.idle();
    await Promise.all(this.#sealing);
    for (const segment of this.#segments.values()) await segment.retire();
    await this.#directories.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #activeSegments(): Segment[] {
    return this.#lanes.flatMap(({ activeSegment }) => activeSegment ?? []);
  }

  /** The first of those with the least to do, so that who writes one after the other keeps to one. */
  #idlestLane(): SegmentLane {
    return this.#lanes.reduce((best, lane) => (lane.pending < best.pending ? lane : best));
  }

  /** Whatever was appended before is in its segment, or in those before. */
  #highestLane(): SegmentLane {
    return this.#lanes.reduce((best, lane) => (lane.lastNumber > best.lastNumber ? lane : best));
  }

  async #begin(): Promise<ActiveSegment> {
    using _turn = await this.#beginning.acquire();
    const number = this.#last + 1;
    const path = this.#layout.segmentPath(number);
    let segment: Segment | undefined;
    try {
      segment = await Segment.create(path, number, Math.floor(Date.now() / 1000));
      await this.#directories.sync(this.#layout.folder);
    } catch (error) {
      await segment?.retire();
      await rm(path, { force: true });
      throw error;
    }
    this.#last = number;
    this.#enter(segment);
    // One that is seldom needed must not keep an old segment from being checked, or evicted.
    for (const lane of this.#lanes) lane.leaveBehind(number - LANES);
    return { segment, headers: new RecordHeaders() };
  }

  #enter(segment: Segment): void {
    this.#segments.set(segment.number, segment);
    this.#sizeBytes += segment.lengthBytes;
    this.#changes += 1;
  }

  /** Writes its sidecar in the background. Should that fail the segment is read whole at the next start. */
  #seal(active: ActiveSegment): void {
    const sealing = this.#writeSidecar(active)
      .catch((error: unknown) => {
        this.#logger.warn(
          { error, segment: active.segment.number },
          'the sidecar of a segment was not written',
        );
      })
      .finally(() => this.#sealing.delete(sealing));
    this.#sealing.add(sealing);
  }

  async #writeSidecar({ segment, headers }: ActiveSegment): Promise<void> {
    const path = this.#layout.sidecarPath(segment.number);
    const staged = `${path}.new`;
    try {
      await writeFile(staged, encodeSidecar(segment, headers.bytes), { flush: true });
      await rename(staged, path);
    } catch (error) {
      await rm(staged, { force: true });
      throw error;
    }
    await this.#directories.sync(this.#layout.folder);
    this.#failPoints.pass('cas.segment_sealed');
  }
}
