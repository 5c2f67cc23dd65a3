import { parseHexBytes, WORD_DIGITS } from '../../../core/hash-words.ts';
import { PackedDigest } from '../../../core/packed-digest.ts';

/** Tags of Digest's fields, and the length of the hash, which is that of SHA-256 and BLAKE3. */
const HASH_TAG = (1 << 3) | 2;
const SIZE_TAG = (2 << 3) | 0;
const HASH_START = 2;
/** A varint of more bytes than this could pass Number.MAX_SAFE_INTEGER. */
const VARINT_BYTES_MAX = 7;

/**
 * Reads a message as common encoders write it. Every method gives -1 or undefined for what it does not know, well formed
 * or not, and then the codec begins anew with the generated decoder, which knows all and says what is wrong.
 */
export class WireCursor {
  readonly bytes: Uint8Array;
  pos: number;
  readonly end: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.pos = start;
    this.end = end;
  }

  /** A tag or a small value: a varint of one byte; -1 for a longer one, and at the end. */
  byte(): number {
    if (this.pos >= this.end) return -1;
    const value = this.bytes[this.pos] as number;
    if (value > 0x7f) return -1;
    this.pos += 1;
    return value;
  }

  /** A varint of up to 49 bits; -1 for a larger one. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < VARINT_BYTES_MAX && this.pos < this.end; count++) {
      const byte = this.bytes[this.pos++] as number;
      value += (byte & 0x7f) * scale;
      if (byte <= 0x7f) return value;
      scale *= 0x80;
    }
    return -1;
  }

  /** Where a length-delimited value ends that begins, behind its length, at `pos` now; -1 when that is too far. */
  valueEnd(): number {
    const length = this.varint();
    const end = this.pos + length;
    return length < 0 || end > this.end ? -1 : end;
  }

  /** A length-delimited value, not copied. */
  view(): Uint8Array | undefined {
    const end = this.valueEnd();
    if (end < 0) return undefined;
    const view = this.bytes.subarray(this.pos, end);
    this.pos = end;
    return view;
  }

  /** An ASCII string. */
  text(): string | undefined {
    const end = this.valueEnd();
    if (end < 0) return undefined;
    let text = '';
    for (; this.pos < end; this.pos++) {
      const code = this.bytes[this.pos] as number;
      if (code > 0x7f) return undefined;
      text += String.fromCharCode(code);
    }
    return text;
  }

  /** A Digest message of which the hash comes first and has 64 digits. */
  digest(): PackedDigest | undefined {
    const end = this.valueEnd();
    if (end < 0 || end - this.pos < HASH_START + WORD_DIGITS) return undefined;
    if (this.bytes[this.pos] !== HASH_TAG || this.bytes[this.pos + 1] !== WORD_DIGITS) return undefined;
    const words = parseHexBytes(this.bytes, this.pos + HASH_START, WORD_DIGITS);
    if (words === undefined) return undefined;
    this.pos += HASH_START + WORD_DIGITS;
    if (this.pos === end) return new PackedDigest(words, 0);
    if (this.bytes[this.pos++] !== SIZE_TAG) return undefined;
    const sizeBytes = this.varint();
    return sizeBytes < 0 || this.pos !== end ? undefined : new PackedDigest(words, sizeBytes);
  }
}
