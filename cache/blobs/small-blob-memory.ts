/** Small blobs in memory by digest, those least recently read going first. Several stores may share it. */
export class SmallBlobMemory {
  readonly #bytesMax: number;
  /** Least recently read first. */
  readonly #blobs = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor({ bytesMax }: { readonly bytesMax: number }) {
    this.#bytesMax = bytesMax;
  }

  get(key: string): Uint8Array | undefined {
    const blob = this.#blobs.get(key);
    if (blob === undefined) return undefined;
    this.#blobs.delete(key);
    this.#blobs.set(key, blob);
    return blob;
  }

  keep(key: string, blob: Uint8Array): void {
    if (this.#blobs.has(key)) return;
    this.#blobs.set(key, blob);
    this.#bytes += blob.byteLength;
    for (const [oldestKey, oldest] of this.#blobs) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#blobs.delete(oldestKey);
      this.#bytes -= oldest.byteLength;
    }
  }
}
