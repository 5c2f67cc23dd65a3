import { untilAborted } from '../../core/abort.ts';
import type { IoOptions } from '../../core/io-options.ts';

/** Bytes that may wait for a reader. One that falls behind further goes on in the local store. */
const WINDOW_BYTES = 256 * 1024;

/**
 * Follows a blob while it is fetched, without slowing the fetch down: the reader that is too slow is let go, and ends
 * early. Ends in one of three ways: all bytes were there, it was let go, or the fetch failed (it throws).
 */
export class LiveReader {
  #chunks: Uint8Array[] = [];
  #waitingBytes = 0;
  #isOver = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  /** Takes a chunk, or lets the reader go when too many wait for it. */
  push(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.byteLength;
    // One chunk always fits, whatever its size.
    if (this.#waitingBytes > WINDOW_BYTES && this.#chunks.length > 1) this.#letGo();
    this.#wake();
  }

  /** Nothing more comes; what waits can still be read. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  /** The fetch failed; what waits is not read any more. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#failure = { error };
    this.end();
  }

  async *read({ signal }: IoOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#waitingBytes -= chunk.byteLength;
        yield chunk;
      } else if (this.#isOver) {
        return;
      } else {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await untilAborted(promise, signal);
      }
    }
  }

  #letGo(): void {
    // The chunks it has not read yet are in the local store by the time it goes on there.
    this.#chunks = [];
    this.#waitingBytes = 0;
    this.#isOver = true;
  }
}
