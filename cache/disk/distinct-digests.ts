import { randomInt } from 'node:crypto';
import type { Digest } from '../../core/digest.ts';

/** Up to here each is compared with each. */
const PAIRS_MAX = 8;

/**
 * Of a random choice: who makes up digests, of which nobody has the bytes, must not know which of them meet in a slot, or
 * some thousands would all be compared with each other.
 */
const FACTORS = Int32Array.from({ length: 8 }, () => randomInt(2 ** 32) | 1);

function spread({ words }: Digest): number {
  let sum = 0;
  for (let index = 0; index < FACTORS.length; index++) {
    sum = (sum + Math.imul((words[index] as number) ^ (sum >>> 15), FACTORS[index] as number)) | 0;
  }
  return sum ^ (sum >>> 16);
}

/** The digests, each once, in their order. Makes no strings, since it may be asked of thousands in one call. */
export function distinctDigests(digests: readonly Digest[]): Digest[] {
  if (digests.length <= PAIRS_MAX) {
    return digests.filter((digest, index) => !digests.slice(0, index).some((other) => other.equals(digest)));
  }
  let slots = 16;
  while (slots < digests.length * 2) slots *= 2;
  const table = new Int32Array(slots);
  const distinct: Digest[] = [];
  for (const digest of digests) {
    let slot = spread(digest) & (slots - 1);
    for (; table[slot] !== 0; slot = (slot + 1) & (slots - 1)) {
      if (distinct[(table[slot] as number) - 1]?.equals(digest)) break;
    }
    if (table[slot] === 0) table[slot] = distinct.push(digest);
  }
  return distinct;
}
