/** Words of a hash that an index keeps: 32 bytes name a blob beyond doubt. */
const WORDS = 8;
const DIGITS_PER_WORD = 8;
/** Hex digits that {@link HashWords} hold. */
export const WORD_DIGITS = WORDS * DIGITS_PER_WORD;

/** The first 32 bytes of a hash as eight 32-bit words, the first byte highest; 0 behind the end of a shorter hash. */
export type HashWords = Int32Array;

const NO_DIGIT = 0xff;
const ZERO = '0'.charCodeAt(0);
const A = 'a'.charCodeAt(0);
const VALUES = new Uint8Array(256).fill(NO_DIGIT);
for (let value = 0; value < 16; value++) VALUES[value < 10 ? ZERO + value : A + value - 10] = value;

const BYTE_DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** From lower-case hex digits as they stand on the wire; undefined when one is none, also behind the words. */
export function parseHexBytes(hex: Uint8Array): HashWords | undefined {
  const words = new Int32Array(WORDS);
  const { length } = hex;
  let seen = 0;
  for (let index = 0; index < length; index++) {
    const value = VALUES[hex[index] as number] as number;
    seen |= value;
    if (index < WORD_DIGITS) words[index >> 3] = ((words[index >> 3] as number) << 4) | value;
  }
  return finished(words, length, seen);
}

/** The same from text. */
export function parseHexText(hex: string): HashWords | undefined {
  const words = new Int32Array(WORDS);
  const { length } = hex;
  let seen = 0;
  for (let index = 0; index < length; index++) {
    const code = hex.charCodeAt(index);
    const value = code < VALUES.length ? (VALUES[code] as number) : NO_DIGIT;
    seen |= value;
    if (index < WORD_DIGITS) words[index >> 3] = ((words[index >> 3] as number) << 4) | value;
  }
  return finished(words, length, seen);
}

/** All 64 digits. */
export function hexOfWords(words: HashWords): string {
  let hex = '';
  for (let index = 0; index < WORDS; index++) {
    const word = words[index] as number;
    hex += BYTE_DIGITS[word >>> 24] as string;
    hex += BYTE_DIGITS[(word >>> 16) & 0xff] as string;
    hex += BYTE_DIGITS[(word >>> 8) & 0xff] as string;
    hex += BYTE_DIGITS[word & 0xff] as string;
  }
  return hex;
}

/** A hash of the functions we know ends with a word. */
function finished(words: HashWords, length: number, seen: number): HashWords | undefined {
  return seen < 16 && length % DIGITS_PER_WORD === 0 ? words : undefined;
}
