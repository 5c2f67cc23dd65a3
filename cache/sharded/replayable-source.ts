/**
 * A stream that can be had again from its beginning as long as no more than `keptBytesMax` of it went by: for a second
 * try elsewhere. Each iteration gives what went by before, and goes on where the last one stopped.
 */
export class ReplayableSource implements AsyncIterable<Uint8Array> {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #keptBytesMax: number;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #isOver = false;

  constructor(source: AsyncIterable<Uint8Array>, keptBytesMax: number) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#keptBytesMax = keptBytesMax;
  }

  /** Another iteration gives all of it. */
  get canReplay(): boolean {
    return this.#keptBytes <= this.#keptBytesMax;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.#kept;
    while (!this.#isOver) {
      const { done, value } = await this.#iterator.next();
      if (done) {
        this.#isOver = true;
        return;
      }
      this.#keptBytes += value.byteLength;
      if (this.canReplay) this.#kept.push(value);
      else this.#kept = [];
      yield value;
    }
  }

  /** Ends the stream behind, when it is not read to its end. */
  async close(): Promise<void> {
    if (!this.#isOver) await this.#iterator.return?.();
    this.#isOver = true;
  }
}
