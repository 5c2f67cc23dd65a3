/** The beginning of a stream in memory, to see whether it is all of it; read `whole` once, then `rest` once if need be. */
export class BufferedHead {
  readonly #source: AsyncIterator<Uint8Array, unknown>;
  readonly #bytesMax: number;
  readonly #chunks: Uint8Array[] = [];

  constructor(source: AsyncIterable<Uint8Array>, bytesMax: number) {
    this.#source = source[Symbol.asyncIterator]();
    this.#bytesMax = bytesMax;
  }

  /** All bytes of the stream; undefined when there are more than may be in memory. */
  async whole(): Promise<Buffer | undefined> {
    let sizeBytes = 0;
    while (sizeBytes <= this.#bytesMax) {
      const { done, value } = await this.#source.next();
      if (done) return Buffer.concat(this.#chunks, sizeBytes);
      sizeBytes += value.byteLength;
      this.#chunks.push(value);
    }
    return undefined;
  }

  /** The stream from its beginning. */
  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* this.#chunks;
      for (let next = await this.#source.next(); !next.done; next = await this.#source.next())
        yield next.value;
    } finally {
      await this.#source.return?.();
    }
  }
}
