import { delay } from '../core/abort.ts';
import { isIngotError } from '../core/error.ts';
import type { IoOptions } from '../core/io-options.ts';
import type { Logger } from '../core/log/logger.ts';
import { Code } from '../proto/gen/google/rpc/code.ts';

const FIRST_DELAY_MS = 100;
const DELAY_MS_MAX = 5000;

export interface StoreRetriesOptions {
  readonly logger: Logger;
  /** How long a part that is away is waited for, from the first failure on. */
  readonly windowMs: number;
  /** Before the second try; default 100. */
  readonly firstDelayMs?: number;
}

/**
 * Does something with the store again while the store is away, as during its restart: an hour's result must not be
 * lost to a second without a cache. Only UNAVAILABLE is tried again, with growing waits.
 */
export class StoreRetries {
  readonly #options: StoreRetriesOptions;

  constructor(options: StoreRetriesOptions) {
    this.#options = options;
  }

  /** The task must be one that can be done from the start again. */
  async run<T>(what: string, task: () => Promise<T>, { signal }: IoOptions = {}): Promise<T> {
    const { firstDelayMs = FIRST_DELAY_MS } = this.#options;
    let deadlineMs: number | undefined;
    for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, DELAY_MS_MAX)) {
      try {
        return await task();
      } catch (error) {
        deadlineMs ??= performance.now() + this.#options.windowMs;
        const lateness = performance.now() + delayMs - deadlineMs;
        if (!isIngotError(error, Code.UNAVAILABLE) || lateness > 0 || signal?.aborted) throw error;
        this.#options.logger.debug({ what, error, delayMs }, 'store is away, trying again');
        await delay(delayMs, { signal });
      }
    }
  }
}
