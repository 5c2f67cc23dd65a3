import { hash } from 'node:crypto';

/** Bits of the low half; see {@link GearTable}. */
export const LOW_BITS = 26;
/** The low half of a number. */
export const LOW_MASK = 2 ** LOW_BITS - 1;

/**
 * The 256 numbers of 64 bits that FastCDC adds up, in two halves: JavaScript computes fast with 32 bits only. The low
 * half has 26 bits, so that a sum and its carry fit; the high half has the 32 bits above, further than any mask looks.
 */
export interface GearTable {
  readonly low: Int32Array;
  readonly high: Int32Array;
}

/**
 * Entry i is the first eight bytes of an MD5, with the seed mixed in: not of the one byte i, as REAPI puts it, but of 64
 * of them, as every implementation and the published vectors have it.
 */
export function gearTable(seed: number): GearTable {
  const low = new Int32Array(256);
  const high = new Int32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    const gear = hash('md5', Buffer.alloc(64, byte), 'buffer').readBigUInt64BE() ^ BigInt(seed);
    [low[byte], high[byte]] = halvesOf(gear) as [number, number];
  }
  return { low, high };
}

/** A number of 64 bits as low and high half; its topmost six bits are lost. */
export function halvesOf(value: bigint): readonly [low: number, high: number] {
  return [Number(BigInt.asUintN(LOW_BITS, value)), Number(BigInt.asIntN(32, value >> BigInt(LOW_BITS)))];
}
