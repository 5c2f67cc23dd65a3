import assert from 'node:assert/strict';

/**
 * The masks of FastCDC by the number of bits set in them, from the paper's reference implementation: one bit more
 * halves the chance of a cut. Averages of 1 KiB to 1 MiB need 8 to 22 bits.
 */
const MASKS: ReadonlyMap<number, bigint> = new Map([
  [8, 0x0000_0018_0003_5300n],
  [9, 0x0000_0190_0035_3000n],
  [10, 0x0000_5900_0353_0000n],
  [11, 0x0000_d900_0353_0000n],
  [12, 0x0000_d901_0353_0000n],
  [13, 0x0000_d903_0353_0000n],
  [14, 0x0000_d903_1353_0000n],
  [15, 0x0000_d90f_0353_0000n],
  [16, 0x0000_d903_0353_7000n],
  [17, 0x0000_d907_0353_7000n],
  [18, 0x0000_d907_0753_7000n],
  [19, 0x0000_d917_0753_7000n],
  [20, 0x0000_d917_4753_7000n],
  [21, 0x0000_d917_6753_7000n],
  [22, 0x0000_d937_6753_7000n],
]);

/** How far the masks before and behind the average differ from the average's own: normalisation level 2. */
const NORMALISATION = 2;

/** Where a hash has zeros at a cut. */
export interface CutMasks {
  /** Up to the average: the rarer one. */
  readonly before: bigint;
  /** From the average on. */
  readonly behind: bigint;
}

/** The masks for an average, which is a power of two from 1 KiB to 1 MiB. */
export function cutMasks(avgBytes: number): CutMasks {
  const bits = Math.log2(avgBytes);
  const before = MASKS.get(bits + NORMALISATION);
  const behind = MASKS.get(bits - NORMALISATION);
  assert(before !== undefined && behind !== undefined, `no masks for an average of ${avgBytes} bytes`);
  return { before, behind };
}
