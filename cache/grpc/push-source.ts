import { untilAborted } from '../../core/abort.ts';
import type { IngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { messageMemory } from '../../core/message-memory.ts';
import { ByteBudget, ByteLoan } from '../../core/rpc/rpc-byte-budget.ts';
import type { Reusing } from '../../core/streams.ts';

/** Bytes pushed and not taken yet at which `drained` begins to wait. */
const BUFFERED_BYTES_MAX = 64 * 1024;

/**
 * A byte stream fed from outside, for one reader. States: open; ended or failed (by `end` or `fail`, after what was
 * pushed before); left (by its reader, from when on pushes are dropped). What it holds is borrowed from a budget.
 */
export class PushSource implements AsyncIterableIterator<Uint8Array, undefined>, Reusing {
  readonly #chunks: Uint8Array[] = [];
  readonly #loan: ByteLoan;
  #bufferedBytes = 0;
  #end: { readonly error: IngotError | undefined } | undefined;
  #left = false;
  #reader: PromiseWithResolvers<void> | undefined;
  #writer: PromiseWithResolvers<void> | undefined;

  /** Without a budget it holds whatever is pushed. */
  constructor(budget: ByteBudget = new ByteBudget(Number.POSITIVE_INFINITY)) {
    this.#loan = new ByteLoan(budget);
  }

  /** Takes a chunk at once; await `drained` before the next one. RESOURCE_EXHAUSTED when the budget is used up. */
  push(chunk: Uint8Array): void {
    if (this.#left || this.#end !== undefined || chunk.byteLength === 0) return;
    this.#loan.take(chunk.byteLength);
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.byteLength;
    this.#wakeReader();
  }

  /** Waits until there is room for another chunk. */
  async drained({ signal }: IoOptions = {}): Promise<void> {
    while (this.#bufferedBytes >= BUFFERED_BYTES_MAX && !this.#left) {
      this.#writer ??= Promise.withResolvers();
      await untilAborted(this.#writer.promise, signal);
    }
  }

  /** The last chunk is pushed. */
  end(): void {
    this.#end ??= { error: undefined };
    this.#wakeReader();
  }

  /** The reader gets this error after what was pushed before. */
  fail(error: IngotError): void {
    this.#end ??= { error };
    this.#wakeReader();
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      const value = this.#left ? undefined : this.#chunks.shift();
      if (value !== undefined) {
        this.#bufferedBytes -= value.byteLength;
        this.#loan.give(value.byteLength);
        this.#wakeWriter();
        return { done: false, value };
      }
      if (this.#left || this.#end !== undefined) {
        if (this.#end?.error !== undefined && !this.#left) throw this.#end.error;
        return { done: true, value: undefined };
      }
      this.#reader ??= Promise.withResolvers();
      await this.#reader.promise;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#left = true;
    this.#chunks.length = 0;
    this.#loan.close();
    this.#bufferedBytes = 0;
    this.#wakeWriter();
    this.#wakeReader();
    return { done: true, value: undefined };
  }

  giveBack(chunk: Uint8Array): void {
    messageMemory.giveBack(chunk);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #wakeReader(): void {
    this.#reader?.resolve();
    this.#reader = undefined;
  }

  #wakeWriter(): void {
    this.#writer?.resolve();
    this.#writer = undefined;
  }
}
