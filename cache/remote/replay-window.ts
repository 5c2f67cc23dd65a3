import { untilAborted } from '../../core/abort.ts';
import type { RestartableSource } from './restartable-source.ts';

/** Bytes kept for a second sending: more than what is under way on a connection at a time. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/**
 * Makes the end of a stream restartable: it remembers the last few MiB that were read of it. What lies further back
 * is gone; ask `reaches` before `restart`. One reader at a time.
 */
export class ReplayWindow implements RestartableSource {
  readonly #iterator: AsyncIterator<Uint8Array, unknown>;
  readonly #chunks: Uint8Array[] = [];
  #start = 0;
  #end = 0;
  #ended = false;
  /** A read under way; also one whose reader was stopped, so that its chunk is not lost. */
  #pulling: Promise<void> | undefined;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** Whether the stream can be restarted there. */
  reaches(offset: number): boolean {
    return offset >= this.#start && offset <= this.#end;
  }

  async *restart(offset: number, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    let position = offset;
    for (;;) {
      const chunk = this.#chunkAt(position);
      if (chunk !== undefined) {
        position += chunk.byteLength;
        yield chunk;
      } else if (this.#ended) {
        return;
      } else {
        this.#pulling ??= this.#pull();
        await untilAborted(this.#pulling, signal);
      }
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    return this.restart(0);
  }

  /** Tells the source that no more of it is wanted; does not wait for it. */
  leave(): void {
    Promise.resolve(this.#iterator.return?.()).catch(() => {
      // It failed while it was being given up; whoever gave it up has the better reason.
    });
  }

  /** Adds the next chunk to those remembered, or the end; a source that has failed fails every later reader too. */
  async #pull(): Promise<void> {
    const next = await this.#iterator.next();
    this.#pulling = undefined;
    if (next.done) this.#ended = true;
    else if (next.value.byteLength > 0) this.#remember(next.value);
  }

  #remember(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#end += chunk.byteLength;
    for (let first = this.#chunks[0]; first !== undefined; first = this.#chunks[0]) {
      if (this.#end - this.#start - first.byteLength < WINDOW_BYTES) return;
      this.#start += first.byteLength;
      this.#chunks.shift();
    }
  }

  /** What is remembered from the position to the end of its chunk. */
  #chunkAt(position: number): Uint8Array | undefined {
    let end = this.#end;
    if (position >= end) return undefined;
    for (const chunk of this.#chunks.toReversed()) {
      const start = end - chunk.byteLength;
      if (position >= start) return chunk.subarray(position - start);
      end = start;
    }
    return undefined;
  }
}
