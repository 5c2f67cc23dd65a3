import { Digest } from '../../../core/digest.ts';
import { PackedDigest } from '../../../core/packed-digest.ts';
import type { TakeMemory } from '../../../core/rpc/rpc-service.ts';

/** A digest whose hash is written straight from its words. */
export type WritableDigest = Digest | PackedDigest;

const HASH_TAG = (1 << 3) | 2;
const SIZE_TAG = (2 << 3) | 0;

/** False for a Digest message of which only text is known; the generated codec writes it. */
export function isWritable(digest: unknown): digest is WritableDigest {
  return digest instanceof Digest || digest instanceof PackedDigest;
}

/** Bytes that a varint takes. */
export function varintBytes(value: number): number {
  if (value < 2 ** 7) return 1;
  if (value < 2 ** 14) return 2;
  if (value < 2 ** 21) return 3;
  if (value < 2 ** 28) return 4;
  return 4 + varintBytes(Math.floor(value / 2 ** 28));
}

/** Bytes that a length-delimited field takes, its tag being of one byte. */
export function fieldBytes(valueBytes: number): number {
  return 1 + varintBytes(valueBytes) + valueBytes;
}

/** Bytes that a Digest message takes. */
export function digestBytes({ hashLength, sizeBytes }: WritableDigest): number {
  return fieldBytes(hashLength) + (sizeBytes === 0 ? 0 : 1 + varintBytes(sizeBytes));
}

/** Writes fields into a buffer of the size that they add up to, which its user has to know. */
export class WireWriter {
  readonly bytes: Buffer;
  readonly #view: DataView;
  #pos = 0;
  #takenEnd = 0;

  constructor(sizeBytes: number, take: TakeMemory = Buffer.allocUnsafe) {
    this.bytes = take(sizeBytes);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, sizeBytes);
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.#pos++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.#pos++] = rest;
  }

  /** Tag and length of a field; its value must follow. */
  header(tag: number, valueBytes: number): void {
    this.bytes[this.#pos++] = tag;
    this.varint(valueBytes);
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#pos);
    this.#pos += bytes.length;
  }

  /** What has been written since the last time, for a message of several parts. */
  taken(): Uint8Array {
    const taken = this.bytes.subarray(this.#takenEnd, this.#pos);
    this.#takenEnd = this.#pos;
    return taken;
  }

  /** A field that is a Digest message. */
  digest(tag: number, digest: WritableDigest): void {
    const { hashLength, sizeBytes } = digest;
    this.header(tag, digestBytes(digest));
    this.header(HASH_TAG, hashLength);
    digest.writeHash(this.#view, this.#pos);
    this.#pos += hashLength;
    if (sizeBytes === 0) return;
    this.bytes[this.#pos++] = SIZE_TAG;
    this.varint(sizeBytes);
  }
}
