import type { HeaderField } from './header-field.ts';

const COMPACT_AT = 256; // Entries that have left before the array is cut.

/** The fields that a peer has given numbers; the newest is 0. Old ones leave when their bytes are over the limit. */
export class DynamicTable {
  #fields: HeaderField[] = [];
  /** Index of the oldest; what stands before it has left. */
  #oldest = 0;
  #bytes = 0;
  #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get length(): number {
    return this.#fields.length - this.#oldest;
  }

  at(number: number): HeaderField | undefined {
    const index = this.#fields.length - 1 - number;
    return index < this.#oldest ? undefined : this.#fields[index];
  }

  add(field: HeaderField): void {
    this.#evict(this.#bytesMax - field.bytes);
    // A field larger than the table only empties it.
    if (field.bytes > this.#bytesMax) return;
    this.#fields.push(field);
    this.#bytes += field.bytes;
  }

  resize(bytesMax: number): void {
    this.#bytesMax = bytesMax;
    this.#evict(bytesMax);
  }

  #evict(bytesMax: number): void {
    while (this.#bytes > bytesMax && this.#oldest < this.#fields.length) {
      this.#bytes -= this.#fields[this.#oldest++]?.bytes ?? 0;
    }
    if (this.#oldest < COMPACT_AT) return;
    this.#fields = this.#fields.slice(this.#oldest);
    this.#oldest = 0;
  }
}
