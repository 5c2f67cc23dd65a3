import type { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionCache, ActionKey } from '../action-cache.ts';
import type { BlobOptions } from '../blob-store.ts';
import type { CacheCounters } from './cache-counters.ts';

/** What a {@link MeteredActionCache} is made of. */
export interface MeteredActionCacheDependencies {
  readonly inner: ActionCache;
  readonly counters: CacheCounters;
}

/** Counts hits and misses. Put it outermost: a result that lost its blobs is a miss. */
export class MeteredActionCache implements ActionCache {
  readonly #inner: ActionCache;
  readonly #counters: CacheCounters;

  constructor({ inner, counters }: MeteredActionCacheDependencies) {
    this.#inner = inner;
    this.#counters = counters;
  }

  async get(key: ActionKey, options?: BlobOptions): Promise<ActionResult | undefined> {
    const { actionReads } = this.#counters;
    try {
      const result = await this.#inner.get(key, options);
      if (result === undefined) actionReads.miss += 1;
      else actionReads.hit += 1;
      return result;
    } catch (error) {
      actionReads.error += 1;
      throw error;
    }
  }

  async put(key: ActionKey, result: ActionResult, options?: BlobOptions): Promise<void> {
    const { actionWrites } = this.#counters;
    try {
      await this.#inner.put(key, result, options);
      actionWrites.ok += 1;
    } catch (error) {
      actionWrites.error += 1;
      throw error;
    }
  }
}
