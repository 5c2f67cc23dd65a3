import { type FailPoints, noFailPoints } from '../../core/fail-point.ts';
import { fileError, isDiskFull } from '../../core/file-error.ts';
import { GroupCommit } from '../../core/group-commit.ts';
import type { Logger } from '../../core/log/logger.ts';
import { type AppendBatch, AppendBatcher } from './append-batch.ts';
import type { RecordHeaders } from './record-headers.ts';
import type { Segment } from './segment.ts';
import type { SegmentAppend, SegmentAppendListener } from './segment-append.ts';
import { recordBytes } from './segment-record.ts';

/** A segment with as many records is sealed whatever its length: its sidecar is held in memory until then, 7 MiB. */
const RECORDS_MAX = 65_536;

/** A segment that is written to. */
export interface ActiveSegment {
  readonly segment: Segment;
  readonly headers: RecordHeaders;
}

/** What a {@link SegmentLane} needs of its log. */
export interface SegmentLaneHost {
  readonly logger: Logger;
  readonly failPoints: FailPoints;
  /** A segment of this length is sealed and the next one begun. */
  readonly segmentBytes: number;
  readonly listener: SegmentAppendListener;
  /** A new segment, of a higher number than any before. */
  begin(): Promise<ActiveSegment>;
  /** Nothing more will be written to it. */
  seal(active: ActiveSegment): void;
  /** So many bytes were added. */
  grew(bytes: number): void;
}

/**
 * Writes to one segment after the other. Appends under way share one durable write; when nothing is under way one goes out
 * at once. After a write that failed, what it left is cut off; where the disk was full the next append is tried as if
 * nothing had been, else in another segment.
 */
export class SegmentLane {
  readonly #host: SegmentLaneHost;
  readonly #batcher = new AppendBatcher();
  readonly #commits = new GroupCommit<SegmentAppend>((appends) => this.#flush(appends));
  #active: ActiveSegment | undefined;
  #lastNumber = 0;

  constructor(host: SegmentLaneHost) {
    this.#host = host;
  }

  /** The segment it writes to now, if any. */
  get activeSegment(): Segment | undefined {
    return this.#active?.segment;
  }

  /** Number of the segment it wrote to last; 0 before the first. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  /** Appends that are not durable yet. */
  get pending(): number {
    return this.#commits.pending;
  }

  /** Goes on with a segment of an earlier process; false when that is full. */
  adopt(active: ActiveSegment): boolean {
    if (this.#isFull(active)) return false;
    this.#enter(active);
    return true;
  }

  /** Writes no more to a segment of a number below this, unless it is writing to it now. */
  leaveBehind(number: number): void {
    if (this.#active === undefined || this.pending > 0 || this.#active.segment.number >= number) return;
    this.#seal(this.#active);
  }

  /** Resolves when the record is durable and the listener knows; rejects when it could not be written. */
  append(append: SegmentAppend): Promise<void> {
    return this.#commits.submit(append);
  }

  /** Waits for appends under way. */
  async idle(): Promise<void> {
    await this.#commits.idle();
  }

  async #flush(appends: readonly SegmentAppend[]): Promise<void> {
    const { segmentBytes, listener } = this.#host;
    let done = 0;
    try {
      while (done < appends.length) {
        const active = await this.#writable(recordBytes(appends[done]?.payload?.byteLength ?? 0));
        const { segment } = active;
        const batch = this.#batcher.batchOf(appends, done, {
          seed: segment.seed,
          offset: segment.lengthBytes,
          roomBytes: segmentBytes - segment.lengthBytes,
        });
        await this.#write(segment, batch);
        segment.lengthBytes += batch.sizeBytes;
        this.#host.grew(batch.sizeBytes);
        segment.usedSeconds = Math.floor(Date.now() / 1000);
        active.headers.add(batch.headers);
        for (let index = 0; index < batch.count; index++, done++) {
          listener.appended(appends[done] as SegmentAppend, segment.number, batch.offsets[index] as number);
        }
        if (this.#isFull(active)) this.#seal(active);
      }
    } catch (error) {
      throw fileError(error, 'Write to a segment');
    } finally {
      for (; done < appends.length; done++) listener.failed(appends[done] as SegmentAppend);
    }
  }

  async #write(segment: Segment, { parts, sizeBytes }: AppendBatch): Promise<void> {
    const { failPoints } = this.#host;
    failPoints.pass('cas.segment_before_write');
    try {
      await this.#writeParts(segment, parts, sizeBytes);
    } catch (error) {
      await this.#mend(segment, error);
      throw error;
    }
    failPoints.pass('cas.segment_after_write');
  }

  async #writeParts(segment: Segment, parts: readonly Uint8Array[], sizeBytes: number): Promise<void> {
    const { failPoints } = this.#host;
    const at = segment.lengthBytes;
    if (failPoints === noFailPoints) return segment.writeAt(at, parts, sizeBytes);
    // In two writes, so that a test can have it die between them.
    const bytes = Buffer.concat(parts, sizeBytes);
    const half = Math.ceil(sizeBytes / 2);
    await segment.writeAt(at, [bytes.subarray(0, half)], half);
    failPoints.pass('cas.segment_half_written');
    await segment.writeAt(at + half, [bytes.subarray(half)], sizeBytes - half);
  }

  async #mend(segment: Segment, error: unknown): Promise<void> {
    this.#host.logger.error({ error, segment: segment.number }, 'a write to a segment failed');
    // What a failed sync leaves in the page cache is unknown, and this may be one: nothing is written behind it.
    if (!isDiskFull(error)) this.#abandon(segment, error);
    try {
      await segment.cut();
    } catch (cutError) {
      this.#abandon(segment, cutError);
    }
  }

  /** The segment stays to be read, and the next append begins another. */
  #abandon(segment: Segment, error: unknown): void {
    if (this.#active?.segment === segment) this.#active = undefined;
    this.#host.logger.error({ error, segment: segment.number }, 'a segment can no longer be written to');
  }

  async #writable(firstBytes: number): Promise<ActiveSegment> {
    const active = this.#active;
    if (active !== undefined) {
      const hasRoom = active.segment.lengthBytes + firstBytes <= this.#host.segmentBytes;
      if (hasRoom || active.headers.count === 0) return active;
      this.#seal(active);
    }
    return this.#enter(await this.#host.begin());
  }

  #enter(active: ActiveSegment): ActiveSegment {
    this.#active = active;
    this.#lastNumber = active.segment.number;
    return active;
  }

  #seal(active: ActiveSegment): void {
    this.#active = undefined;
    this.#host.seal(active);
  }

  #isFull({ segment, headers }: ActiveSegment): boolean {
    return segment.lengthBytes >= this.#host.segmentBytes || headers.count >= RECORDS_MAX;
  }
}
