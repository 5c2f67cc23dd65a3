import type { SegmentAppend } from './segment-append.ts';
import { encodeHeader, RECORD_HEADER_BYTES, recordBytes } from './segment-record.ts';

/** Written with one call; it bounds the copies, and how long the last of a crowd waits for the first. */
export const BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** Larger payloads are handed to the system where they are, smaller ones cost less when copied beside their header. */
const COPIED_BYTES_MAX = 16 * 1024;

/** Where a batch goes. */
export interface BatchTarget {
  readonly seed: number;
  /** Of the first record. */
  readonly offset: number;
  /** The segment takes no more than this, but one record in any case. */
  readonly roomBytes: number;
}

/** Records laid out one behind the other, ready to be written at their offset. */
export interface AppendBatch {
  readonly parts: readonly Uint8Array[];
  readonly sizeBytes: number;
  /** How many of the appends it holds. */
  readonly count: number;
  readonly offsets: readonly number[];
  /** The headers alone, for the sidecar. */
  readonly headers: Buffer;
}

/** Lays out records; keeps the memory for it from batch to batch, so one batch must be written before the next. */
export class AppendBatcher {
  #scratch = Buffer.allocUnsafeSlow(64 * 1024);

  /** As many of the appends from `first` on as the target has room for. */
  batchOf(appends: readonly SegmentAppend[], first: number, target: BatchTarget): AppendBatch {
    const offsets: number[] = [];
    let sizeBytes = 0;
    let scratchBytes = 0;
    for (let index = first; index < appends.length; index++) {
      const payloadBytes = appends[index]?.payload?.byteLength ?? 0;
      const bytes = recordBytes(payloadBytes);
      if (index > first && sizeBytes + bytes > Math.min(target.roomBytes, BATCH_BYTES_MAX)) break;
      offsets.push(target.offset + sizeBytes);
      sizeBytes += bytes;
      scratchBytes += payloadBytes > COPIED_BYTES_MAX ? RECORD_HEADER_BYTES + 8 : bytes;
    }
    if (this.#scratch.length < scratchBytes) this.#scratch = Buffer.allocUnsafeSlow(scratchBytes * 2);
    const headers = Buffer.allocUnsafe(offsets.length * RECORD_HEADER_BYTES);
    const parts = this.#lay(appends, first, { offsets, headers, seed: target.seed });
    return { parts, sizeBytes, count: offsets.length, offsets, headers };
  }

  #lay(
    appends: readonly SegmentAppend[],
    first: number,
    { offsets, headers, seed }: Pick<AppendBatch, 'offsets' | 'headers'> & { readonly seed: number },
  ): Uint8Array[] {
    const parts: Uint8Array[] = [];
    let start = 0;
    let end = 0;
    for (let index = 0; index < offsets.length; index++) {
      const append = appends[first + index] as SegmentAppend;
      const payloadBytes = append.payload?.byteLength ?? 0;
      const offset = offsets[index] as number;
      encodeHeader(this.#scratch, end, { ...append, payloadBytes, offset }, seed);
      this.#scratch.copy(headers, index * RECORD_HEADER_BYTES, end, end + RECORD_HEADER_BYTES);
      end += RECORD_HEADER_BYTES;
      if (append.payload !== undefined && payloadBytes <= COPIED_BYTES_MAX) {
        this.#scratch.set(append.payload, end);
        end += payloadBytes;
      } else if (append.payload !== undefined) {
        parts.push(this.#scratch.subarray(start, end), append.payload);
        start = end;
      }
      const padding = recordBytes(payloadBytes) - RECORD_HEADER_BYTES - payloadBytes;
      this.#scratch.fill(0, end, end + padding);
      end += padding;
    }
    if (end > start) parts.push(this.#scratch.subarray(start, end));
    return parts;
  }
}
