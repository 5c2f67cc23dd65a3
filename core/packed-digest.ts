import { type HashWords, hexOfWords, WORD_DIGITS, writeHexBytes } from './hash-words.ts';

/**
 * A Digest message with a hash of 64 lower-case hex digits, taken off the wire without making a string of them: what
 * hand-written codecs put where the generated ones put a Digest message. `Digest.fromMessage` checks it.
 */
export class PackedDigest {
  readonly words: HashWords;
  readonly sizeBytes: number;

  constructor(words: HashWords, sizeBytes: number) {
    this.words = words;
    this.sizeBytes = sizeBytes;
  }

  get hash(): string {
    return hexOfWords(this.words);
  }

  /** Digits of the hash. */
  get hashLength(): number {
    return WORD_DIGITS;
  }

  /** Writes the hash's digits to `target` at `start`. */
  writeHash(target: DataView, start: number): void {
    writeHexBytes(this.words, WORD_DIGITS, target, start);
  }
}
