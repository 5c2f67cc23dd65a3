import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { DirectorySync } from '../../core/directory-sync.ts';
import { type FailPoints, noFailPoints } from '../../core/fail-point.ts';
import { fileError } from '../../core/file-error.ts';
import { GroupCommit } from '../../core/group-commit.ts';
import type { Logger } from '../../core/log/logger.ts';
import { type AppendBatch, AppendBatcher } from './append-batch.ts';
import { openSegments, type SegmentReplay } from './open-segments.ts';
import { RecordHeaders } from './record-headers.ts';
import { Segment } from './segment.ts';
import type { SegmentAppend, SegmentAppendListener } from './segment-append.ts';
import { SegmentLayout } from './segment-layout.ts';
import { type RecordFields, recordBytes } from './segment-record.ts';
import { scanSegment } from './segment-scan.ts';
import { decodeSidecar, encodeSidecar } from './segment-sidecar.ts';

/** A segment with as many records is sealed whatever its length: its sidecar is held in memory until then, 7 MiB. */
const RECORDS_MAX = 65_536;

/** Where a process can be made to die while it appends to a segment, in order. */
export const segmentFailPoints = [
  'cas.segment_before_write',
  'cas.segment_half_written',
  'cas.segment_after_write',
  'cas.segment_after_sync',
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

/** A segment that is written to. */
interface ActiveSegment {
  readonly segment: Segment;
  readonly headers: RecordHeaders;
}

/**
 * Append-only segments, oldest first. Appends under way share one write and one sync; when nothing is under way one
 * goes out at once. After a write that failed, what it left is cut off, and the next append is tried as if nothing
 * had been.
 */
export class SegmentLog implements AsyncDisposable {
  readonly #layout: SegmentLayout;
  readonly #logger: Logger;
  readonly #failPoints: FailPoints;
  readonly #segmentBytes: number;
  readonly #listener: SegmentAppendListener;
  readonly #segments = new Map<number, Segment>();
  readonly #directories = new DirectorySync();
  readonly #batcher = new AppendBatcher();
  readonly #commits = new GroupCommit<SegmentAppend>((appends) => this.#flush(appends));
  readonly #sealing = new Set<Promise<void>>();
  #active: ActiveSegment | undefined;
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
    this.#segmentBytes = segmentBytes;
    this.#listener = listener;
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
      const isLast = active.segment.number === log.#last;
      if (isLast && !log.#isFull(active)) log.#active = active;
      else log.#seal(active);
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
    return this.#active === undefined ? this.#last : this.#active.segment.number - 1;
  }

  /** The oldest one that is no longer written to, if any, and not one of those. */
  oldestSealed(besides: ReadonlySet<number>): Segment | undefined {
    for (const segment of this.#segments.values()) {
      if (segment !== this.#active?.segment && !besides.has(segment.number)) return segment;
    }
    return undefined;
  }

  /** All segments by number, oldest first. */
  get segments(): ReadonlyMap<number, Segment> {
    return this.#segments;
  }

  /** Resolves when the record is durable and the listener knows; rejects when it could not be written. */
  append(append: SegmentAppend): Promise<void> {
    return this.#commits.submit(append);
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
    await this.#commits.idle();
    await Promise.all(this.#sealing);
    for (const segment of this.#segments.values()) await segment.retire();
    await this.#directories.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #flush(appends: readonly SegmentAppend[]): Promise<void> {
    let done = 0;
    try {
      while (done < appends.length) {
        const active = await this.#writable(recordBytes(appends[done]?.payload?.byteLength ?? 0));
        const { segment } = active;
        const batch = this.#batcher.batchOf(appends, done, {
          seed: segment.seed,
          offset: segment.lengthBytes,
          roomBytes: this.#segmentBytes - segment.lengthBytes,
        });
        await this.#write(segment, batch);
        segment.lengthBytes += batch.sizeBytes;
        this.#sizeBytes += batch.sizeBytes;
        segment.usedSeconds = Math.floor(Date.now() / 1000);
        active.headers.add(batch.headers);
        for (let index = 0; index < batch.count; index++, done++) {
          this.#listener.appended(
            appends[done] as SegmentAppend,
            segment.number,
            batch.offsets[index] as number,
          );
        }
        if (this.#isFull(active)) this.#seal(active);
      }
    } catch (error) {
      throw fileError(error, 'Write to a segment');
    } finally {
      for (; done < appends.length; done++) this.#listener.failed(appends[done] as SegmentAppend);
    }
  }

  async #write(segment: Segment, { parts, sizeBytes }: AppendBatch): Promise<void> {
    this.#failPoints.pass('cas.segment_before_write');
    try {
      await this.#writeParts(segment, parts, sizeBytes);
    } catch (error) {
      await this.#mend(segment, error);
      throw error;
    }
    this.#failPoints.pass('cas.segment_after_write');
    try {
      await segment.sync();
    } catch (error) {
      // What a failed sync left in the page cache is unknown: nothing is written behind it.
      this.#abandon(segment, error);
      await segment.cut().catch(() => undefined);
      throw error;
    }
    this.#failPoints.pass('cas.segment_after_sync');
  }

  async #writeParts(segment: Segment, parts: readonly Uint8Array[], sizeBytes: number): Promise<void> {
    const at = segment.lengthBytes;
    if (this.#failPoints === noFailPoints) return segment.writeAt(at, parts, sizeBytes);
    // In two writes, so that a test can have it die between them.
    const bytes = Buffer.concat(parts, sizeBytes);
    const half = Math.ceil(sizeBytes / 2);
    await segment.writeAt(at, [bytes.subarray(0, half)], half);
    this.#failPoints.pass('cas.segment_half_written');
    await segment.writeAt(at + half, [bytes.subarray(half)], sizeBytes - half);
  }

  async #mend(segment: Segment, error: unknown): Promise<void> {
    try {
      await segment.cut();
    } catch (cutError) {
      this.#abandon(segment, cutError);
    }
    this.#logger.error({ error, segment: segment.number }, 'a write to a segment failed');
  }

  /** The segment stays to be read, and the next append begins another. */
  #abandon(segment: Segment, error: unknown): void {
    if (this.#active?.segment === segment) this.#active = undefined;
    this.#logger.error({ error, segment: segment.number }, 'a segment can no longer be written to');
  }

  async #writable(firstBytes: number): Promise<ActiveSegment> {
    const active = this.#active;
    if (active !== undefined && active.segment.lengthBytes + firstBytes <= this.#segmentBytes) return active;
    if (active !== undefined && active.headers.count > 0) this.#seal(active);
    else if (active !== undefined) return active;
    return await this.#begin();
  }

  async #begin(): Promise<ActiveSegment> {
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
    this.#active = { segment, headers: new RecordHeaders() };
    return this.#active;
  }

  #enter(segment: Segment): void {
    this.#segments.set(segment.number, segment);
    this.#sizeBytes += segment.lengthBytes;
    this.#changes += 1;
  }

  #isFull({ segment, headers }: ActiveSegment): boolean {
    return segment.lengthBytes >= this.#segmentBytes || headers.count >= RECORDS_MAX;
  }

  /** Writes its sidecar in the background. Should that fail the segment is read whole at the next start. */
  #seal(active: ActiveSegment): void {
    if (this.#active === active) this.#active = undefined;
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
