/**
 * Lets many callers share one slow, durable step. What is submitted while a flush runs waits for the next one,
 * which takes all of it; when idle a submission is flushed at once, without a timer.
 */
export class GroupCommit<T> {
  readonly #flush: (items: readonly T[]) => Promise<void>;
  #waiting: T[] = [];
  /** Settles with the group that is waiting: one promise for all, since there may be thousands of them. */
  #done = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;
  #flushing = 0;

  /** `flush` takes what was submitted, in order; its failure is every submitter's. Never runs twice at once. */
  constructor(flush: (items: readonly T[]) => Promise<void>) {
    this.#flush = flush;
  }

  /** What was submitted and is not flushed yet. */
  get pending(): number {
    return this.#waiting.length + this.#flushing;
  }

  /** Resolves when a flush that began after this call, and took the item, is done. */
  submit(item: T): Promise<void> {
    this.#waiting.push(item);
    this.#running ??= this.#run();
    return this.#done.promise;
  }

  /** Waits until nothing is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // Everything submitted in the same turn of the event loop goes along.
    await undefined;
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      const done = this.#done;
      this.#waiting = [];
      this.#done = Promise.withResolvers();
      this.#flushing = group.length;
      try {
        await this.#flush(group);
        done.resolve();
      } catch (error) {
        done.reject(error);
      }
      this.#flushing = 0;
    }
    this.#running = undefined;
  }
}
