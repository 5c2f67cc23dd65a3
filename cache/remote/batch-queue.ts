import { untilAborted } from '../../core/abort.ts';
import { toIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';

/** What a {@link BatchQueue} is made of. */
export interface BatchQueueOptions<T, R> {
  /** Carries out a batch; one result an item, in order. */
  readonly run: (items: readonly T[]) => Promise<readonly R[]>;
  readonly weightOf: (item: T) => number;
  /** Weight of a batch; an item that is heavier by itself goes alone. */
  readonly weightMax: number;
  readonly itemsMax: number;
  /** Batches under way at once; items that come meanwhile gather for the next. */
  readonly batchesMax: number;
}

interface Waiting<T, R> {
  readonly item: T;
  readonly result: PromiseWithResolvers<R>;
}

/** Gathers items that come close together into batches, without making the first one wait. */
export class BatchQueue<T, R> {
  readonly #options: BatchQueueOptions<T, R>;
  readonly #waiting = new Set<Waiting<T, R>>();
  #running = 0;
  #scheduled = false;

  constructor(options: BatchQueueOptions<T, R>) {
    this.#options = options;
  }

  /** The item's result. When the signal aborts first the item may be carried out all the same. */
  async submit(item: T, { signal }: IoOptions = {}): Promise<R> {
    const waiting = { item, result: Promise.withResolvers<R>() };
    this.#waiting.add(waiting);
    this.#schedule();
    try {
      return await untilAborted(waiting.result.promise, signal);
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // All that is submitted in this turn of the event loop goes along.
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#running < this.#options.batchesMax && this.#waiting.size > 0) {
        this.#running += 1;
        void this.#run(this.#take());
      }
    });
  }

  #take(): Waiting<T, R>[] {
    const { weightOf, weightMax, itemsMax } = this.#options;
    const batch: Waiting<T, R>[] = [];
    let weight = 0;
    for (const waiting of this.#waiting) {
      weight += weightOf(waiting.item);
      if (batch.length > 0 && (weight > weightMax || batch.length >= itemsMax)) break;
      batch.push(waiting);
      this.#waiting.delete(waiting);
    }
    return batch;
  }

  /** Never rejects: the items do. */
  async #run(batch: readonly Waiting<T, R>[]): Promise<void> {
    try {
      const results = await this.#options.run(batch.map(({ item }) => item));
      for (const [index, { result }] of batch.entries()) result.resolve(results[index] as R);
    } catch (error) {
      for (const { result } of batch) {
        result.reject(toIngotError(error));
        // An item whose caller has gone has no one to catch it.
        result.promise.catch(() => undefined);
      }
    }
    this.#running -= 1;
    if (this.#waiting.size > 0) this.#schedule();
  }
}
