import assert from 'node:assert/strict';
import { cutMasks } from './cut-masks.ts';
import type { FastCdcParams } from './fast-cdc-params.ts';
import { type GearTable, gearTable, halvesOf, LOW_BITS, LOW_MASK } from './gear-table.ts';

/** A mask in halves, as {@link GearTable} has its numbers. */
interface Mask {
  readonly low: number;
  readonly high: number;
}

/**
 * Finds where FastCDC 2020 cuts a stream that comes in pieces of any size; where they end makes no difference. It keeps
 * no bytes. The published algorithm takes two bytes a step, which shows in one place only: a byte that has no second
 * one is not looked at, so a cut found at the very last byte counts once another byte follows.
 */
export class FastCdc {
  readonly #params: FastCdcParams;
  readonly #gear: GearTable;
  readonly #before: Mask;
  readonly #behind: Mask;
  /** Bytes taken in all, and where the chunk under way began. */
  #taken = 0;
  #start = 0;
  #low = 0;
  #high = 0;
  /** The last byte taken begins a chunk if it is not the stream's last. */
  #cutsIfMore = false;

  constructor(params: FastCdcParams) {
    const { minBytes, avgBytes, maxBytes, seed } = params;
    assert(minBytes % 2 === 0 && minBytes > 0 && minBytes <= avgBytes && avgBytes <= maxBytes);
    this.#params = params;
    this.#gear = gearTable(seed);
    const masks = cutMasks(avgBytes);
    this.#before = maskOf(masks.before);
    this.#behind = maskOf(masks.behind);
  }

  /** Takes the next bytes; offsets in the stream at which chunks end that are now known to. */
  push(bytes: Uint8Array): number[] {
    const cuts: number[] = [];
    if (bytes.byteLength === 0) return cuts;
    if (this.#cutsIfMore) {
      this.#cutsIfMore = false;
      this.#cut(this.#taken - 1, cuts);
    }
    const base = this.#taken;
    this.#taken += bytes.byteLength;
    let index = 0;
    while (index < bytes.byteLength) {
      const cut = this.#scan(bytes, index, base + index - this.#start);
      if (cut === undefined) break;
      const isEven = (base + cut - this.#start) % 2 === 0;
      const isFull = base + cut - this.#start === this.#params.maxBytes;
      if (cut === bytes.byteLength - 1 && isEven && !isFull) {
        this.#cutsIfMore = true;
        break;
      }
      this.#cut(base + cut, cuts);
      index = cut;
    }
    return cuts;
  }

  /** Ends the stream: the end of its last chunk, or undefined when all of it is in chunks already. */
  end(): number | undefined {
    return this.#taken > this.#start ? this.#taken : undefined;
  }

  #cut(offset: number, cuts: number[]): void {
    cuts.push(offset);
    this.#start = offset;
    this.#low = 0;
    this.#high = 0;
  }

  /**
   * Where the chunk under way ends: the index of the next one's first byte, which may lie behind these bytes' end.
   * `length` is the chunk's up to `from`. Undefined when it goes on.
   */
  #scan(bytes: Uint8Array, from: number, length: number): number | undefined {
    const { minBytes, avgBytes, maxBytes } = this.#params;
    const end = bytes.byteLength;
    // The index in `bytes` of the chunk's first byte; negative when that came earlier.
    const start = from - length;
    const firstLooked = Math.max(from, start + minBytes);
    const middle = Math.min(end, start + avgBytes);
    // As two bytes make a step, the last one before an odd maximum is not looked at.
    const last = Math.min(end, start + maxBytes - (maxBytes % 2));
    let cut = this.#look(bytes, firstLooked, middle, this.#before);
    cut ??= this.#look(bytes, Math.max(firstLooked, middle), last, this.#behind);
    if (cut !== undefined) return cut;
    return start + maxBytes <= end ? start + maxBytes : undefined;
  }

  /** The hot loop: the index of the first byte at which the hash has zeros where the mask has ones. */
  #look(bytes: Uint8Array, from: number, to: number, mask: Mask): number | undefined {
    const gearLow = this.#gear.low;
    const gearHigh = this.#gear.high;
    const maskLow = mask.low;
    const maskHigh = mask.high;
    let low = this.#low;
    let high = this.#high;
    for (let index = from; index < to; index += 1) {
      const byte = bytes[index] as number;
      low = ((low << 1) + (gearLow[byte] as number)) | 0;
      high = ((high << 1) + (gearHigh[byte] as number) + (low >>> LOW_BITS)) | 0;
      low &= LOW_MASK;
      if ((high & maskHigh) === 0 && (low & maskLow) === 0) return index;
    }
    this.#low = low;
    this.#high = high;
    return undefined;
  }
}

function maskOf(mask: bigint): Mask {
  const [low, high] = halvesOf(mask);
  return { low, high };
}
