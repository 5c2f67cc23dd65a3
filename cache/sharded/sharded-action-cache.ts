import type { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionCache, ActionKey } from '../action-cache.ts';
import type { BlobOptions } from '../blob-store.ts';
import type { CacheNodes } from './cache-nodes.ts';

/** What a {@link ShardedActionCache} depends on. */
export interface ShardedActionCacheDependencies {
  readonly nodes: CacheNodes;
}

/**
 * The results of several caches, each in the one its action's digest chooses. A node calls a result complete when it
 * finds its blobs, most of which are other nodes' to keep: so it takes a tier behind them all.
 */
export class ShardedActionCache implements ActionCache {
  readonly #nodes: CacheNodes;

  constructor({ nodes }: ShardedActionCacheDependencies) {
    this.#nodes = nodes;
  }

  get(key: ActionKey, options: BlobOptions = {}): Promise<ActionResult | undefined> {
    return this.#nodes.run(
      key.actionDigest.words,
      ({ actionCache }) => actionCache.get(key, options),
      options,
    );
  }

  put(key: ActionKey, result: ActionResult, options: BlobOptions = {}): Promise<void> {
    return this.#nodes.run(
      key.actionDigest.words,
      ({ actionCache }) => actionCache.put(key, result, options),
      options,
    );
  }
}
