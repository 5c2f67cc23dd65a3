import { RECORD_HEADER_BYTES } from './segment-record.ts';

/** The headers of a segment's records as they are added, for its sidecar. */
export class RecordHeaders {
  #bytes = Buffer.allocUnsafe(64 * RECORD_HEADER_BYTES);
  #length = 0;

  /** How many. */
  get count(): number {
    return this.#length / RECORD_HEADER_BYTES;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  add(headers: Buffer): void {
    const length = this.#length + headers.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    headers.copy(this.#bytes, this.#length);
    this.#length = length;
  }
}
