import { createHash } from 'node:crypto';
import type { Digest } from '../../core/digest.ts';

/**
 * The eight words a digest has in the index: those of its hash, or for hashes of more than 32 bytes those of their
 * SHA-256, so that no two blobs are confused whose hashes merely begin alike.
 */
export function indexWordsOf({ words, tail, digestFunction }: IndexedHash): Int32Array {
  if (tail === '') return words;
  const head = Buffer.alloc(33);
  head[0] = digestFunction;
  for (let index = 0; index < 8; index++) head.writeInt32BE(words[index] as number, 1 + index * 4);
  const short = createHash('sha256').update(head).update(tail).digest();
  return Int32Array.from({ length: 8 }, (_, index) => short.readInt32BE(index * 4));
}

/** The part of a digest that the index is asked by. */
export type IndexedHash = Pick<Digest, 'words' | 'tail' | 'digestFunction'>;
