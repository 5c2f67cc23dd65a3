import { isAscii } from 'node:buffer';
import { parseHexBytes, WORD_DIGITS } from '../../../core/hash-words.ts';
import { PackedDigest } from '../../../core/packed-digest.ts';

/** Longest text that is put together letter by letter, which is faster than a decoder up to about there. */
const SHORT_TEXT_BYTES = 24;

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
  /** Behind the last byte of the message it is in. */
  end: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.pos = 0;
    this.end = bytes.length;
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

  /** Goes into a message that is a value; gives where the outer one ends, which `end` is set to when leaving, or -1. */
  enter(): number {
    const outerEnd = this.end;
    const end = this.valueEnd();
    if (end < 0) return -1;
    this.end = end;
    return outerEnd;
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
    const text = asciiText(this.bytes, this.pos, end);
    this.pos = end;
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

function asciiText(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start > SHORT_TEXT_BYTES) {
    const view = bytes.subarray(start, end);
    return isAscii(view)
      ? Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
      : undefined;
  }
  let text = '';
  for (let at = start; at < end; at++) {
    const code = bytes[at] as number;
    if (code > 0x7f) return undefined;
    text += String.fromCharCode(code);
  }
  return text;
}
