import { messageMemory } from '../../core/message-memory.ts';

/**
 * Copies of the blobs last written or read, oldest overwritten first. A position is good until the ring has come
 * round to it, which `get` knows; who holds positions must hold the right ones.
 */
export class RecentRing {
  readonly #ring: Buffer;
  /** Where the next copy goes, counted on through all rounds. */
  #head = 0;

  constructor(ringBytes: number) {
    this.#ring = Buffer.allocUnsafeSlow(ringBytes);
  }

  /** Keeps a copy and says where; -1 when it does not fit. */
  put(bytes: Uint8Array): number {
    const { length } = this.#ring;
    if (bytes.byteLength > length) return -1;
    const at = this.#head % length;
    if (at + bytes.byteLength > length) this.#head += length - at;
    const position = this.#head;
    this.#ring.set(bytes, position % length);
    this.#head += bytes.byteLength;
    return position;
  }

  /** A copy, in memory that may be given back, of `start` to `end` of what was put there, or undefined when it is overwritten; -1 is nowhere. */
  get(position: number, start: number, end: number): Buffer | undefined {
    if (position < 0 || position + this.#ring.length < this.#head) return undefined;
    const at = position % this.#ring.length;
    const copy = messageMemory.take(end - start);
    this.#ring.copy(copy, 0, at + start, at + end);
    return copy;
  }
}
