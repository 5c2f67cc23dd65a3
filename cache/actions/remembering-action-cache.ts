import type { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionCache, ActionKey } from '../action-cache.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import { FiledResult } from './filed-result.ts';
import type { RecentResults } from './recent-results.ts';

/** What a {@link RememberingActionCache} depends on. */
export interface RememberingActionCacheDependencies {
  /** Checks completeness, and says what a result needs. */
  readonly inner: ActionCache;
  readonly blobStore: BlobStore;
  readonly recent: RecentResults;
}

/**
 * Answers for recent results from memory, decoded, after asking the store in one question for all blobs they need: as
 * exact as the cache behind it, to which it leaves a result that lacks some. A result that is put is forgotten here, and
 * read anew when it is asked for: what is durable is the truth.
 */
export class RememberingActionCache implements ActionCache {
  readonly #inner: ActionCache;
  readonly #blobStore: BlobStore;
  readonly #recent: RecentResults;

  constructor({ inner, blobStore, recent }: RememberingActionCacheDependencies) {
    this.#inner = inner;
    this.#blobStore = blobStore;
    this.#recent = recent;
  }

  async get(key: ActionKey, options?: BlobOptions): Promise<ActionResult | undefined> {
    const known = this.#recent.get(key);
    if (known?.needs !== undefined) {
      const missing = await this.#blobStore.findMissing(known.needs, options);
      if (missing.length === 0) return known;
      this.#recent.forget(key);
    }
    const { epoch } = this.#recent;
    const result = await this.#inner.get(key, options);
    if (result instanceof FiledResult) this.#recent.keep(key, result, epoch);
    return result;
  }

  async put(key: ActionKey, result: ActionResult, options?: BlobOptions): Promise<void> {
    try {
      await this.#inner.put(key, result, options);
    } finally {
      this.#recent.forget(key);
    }
  }
}
