import { cutMasks } from '../../../cache/chunking/cut-masks.ts';
import type { FastCdcParams } from '../../../cache/chunking/fast-cdc-params.ts';
import { gearTable, LOW_BITS } from '../../../cache/chunking/gear-table.ts';

/** FastCDC as it is published, two bytes a step over all the bytes at once, in big integers: slow and plain. */
export function referenceCuts(bytes: Uint8Array, params: FastCdcParams): number[] {
  const gear = gearNumbers(params.seed);
  const cuts: number[] = [];
  let start = 0;
  while (start < bytes.byteLength) {
    start += chunkLength(bytes.subarray(start), params, gear);
    cuts.push(start);
  }
  return cuts;
}

function chunkLength(bytes: Uint8Array, params: FastCdcParams, gear: readonly bigint[]): number {
  const { minBytes, avgBytes, maxBytes } = params;
  if (bytes.byteLength <= minBytes) return bytes.byteLength;
  const length = Math.min(bytes.byteLength, maxBytes);
  const center = Math.min(length, avgBytes);
  const { before, behind } = cutMasks(avgBytes);
  let hash = 0n;
  for (let step = minBytes / 2; step < Math.floor(length / 2); step += 1) {
    const mask = step < Math.floor(center / 2) ? before : behind;
    const at = step * 2;
    hash = BigInt.asUintN(64, (hash << 2n) + ((gear[bytes[at] as number] as bigint) << 1n));
    if ((hash & (mask << 1n)) === 0n) return at;
    hash = BigInt.asUintN(64, hash + (gear[bytes[at + 1] as number] as bigint));
    if ((hash & mask) === 0n) return at + 1;
  }
  return length;
}

/** The table's halves put together; the six bits above them no mask looks at. */
function gearNumbers(seed: number): bigint[] {
  const { low, high } = gearTable(seed);
  return Array.from({ length: 256 }, (_, byte) => {
    const top = BigInt.asUintN(32, BigInt(high[byte] as number));
    return (top << BigInt(LOW_BITS)) | BigInt(low[byte] as number);
  });
}
