import { createHash } from 'node:crypto';
import type { Digest } from '../../core/digest.ts';
import { type HashWords, readWords, writeWords } from '../../core/hash-words.ts';

/**
 * The eight words a digest has in the index: those of its hash, or for hashes of more than 32 bytes those of their
 * SHA-256, so that no two blobs are confused whose hashes merely begin alike.
 */
export function indexWordsOf({ words, tail, digestFunction }: IndexedHash): HashWords {
  if (tail === '') return words;
  const head = Buffer.alloc(33);
  head[0] = digestFunction;
  writeWords(words, head, 1);
  return readWords(createHash('sha256').update(head).update(tail).digest(), 0);
}

/** The part of a digest that the index is asked by. */
export type IndexedHash = Pick<Digest, 'words' | 'tail' | 'digestFunction'>;
