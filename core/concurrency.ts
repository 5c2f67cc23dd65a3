import assert from 'node:assert/strict';
import { linkedAbort, throwIfAborted } from './abort.ts';
import { cancelled, toIngotError } from './error.ts';
import type { IoOptions } from './io-options.ts';

/**
 * Applies `fn` to every item, at most `limit` at once; the results keep the items' order. The first error aborts
 * the signal the others were given, waits for them to end, and is thrown.
 */
export async function mapConcurrent<T, R>(
  items: Iterable<T>,
  limit: number,
  fn: (item: T, signal: AbortSignal) => Promise<R>,
  { signal }: IoOptions = {},
): Promise<R[]> {
  assert(Number.isInteger(limit) && limit > 0, `limit must be a positive integer, not ${limit}`);
  throwIfAborted(signal);
  using abort = linkedAbort(signal);
  const entries = Array.from(items).entries();
  const results: R[] = [];
  let failure: { readonly error: unknown } | undefined;

  const lane = async (): Promise<void> => {
    for (const [index, item] of entries) {
      try {
        throwIfAborted(abort.signal);
        results[index] = await fn(item, abort.signal);
      } catch (error) {
        failure ??= { error };
        abort.abort(cancelled('another part of the operation failed', { cause: toIngotError(error) }));
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, lane));
  if (failure !== undefined) throw failure.error;
  return results;
}

interface Waiter {
  readonly grant: () => void;
}

/** A number of permits, handed out first come, first served. */
export class Semaphore {
  readonly #waiters = new Set<Waiter>();
  #free: number;

  constructor(permits: number) {
    assert(Number.isInteger(permits) && permits > 0, `permits must be a positive integer, not ${permits}`);
    this.#free = permits;
  }

  /** How many callers wait for a permit. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** One permit, or undefined when none is free. */
  acquireNow(): Disposable | undefined {
    if (this.#free === 0) return undefined;
    this.#free -= 1;
    return this.#permit();
  }

  /** One permit, given back when it is disposed (`using`). Leaves the queue when the signal aborts. */
  async acquire({ signal }: IoOptions = {}): Promise<Disposable> {
    throwIfAborted(signal);
    const free = this.acquireNow();
    if (free !== undefined) return free;
    using abort = linkedAbort(signal);
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = { grant: resolve };
      this.#waiters.add(waiter);
      abort.signal.addEventListener('abort', () => {
        if (this.#waiters.delete(waiter)) reject(abort.signal.reason);
      });
    });
    return this.#permit();
  }

  /** Runs `task` while holding a permit. */
  async run<T>(task: () => Promise<T>, options: IoOptions = {}): Promise<T> {
    using _permit = await this.acquire(options);
    return await task();
  }

  #permit(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#release();
      },
    };
  }

  #release(): void {
    const [next] = this.#waiters;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiters.delete(next);
    next.grant();
  }
}
