import type { Digest } from '../../core/digest.ts';

/** Up to here each is compared with each. */
const PAIRS_MAX = 8;

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
    let slot = ((digest.words[0] as number) ^ (digest.words[1] as number)) & (slots - 1);
    for (; table[slot] !== 0; slot = (slot + 1) & (slots - 1)) {
      if (distinct[(table[slot] as number) - 1]?.equals(digest)) break;
    }
    if (table[slot] === 0) table[slot] = distinct.push(digest);
  }
  return distinct;
}
