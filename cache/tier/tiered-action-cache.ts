import { isIngotError } from '../../core/error.ts';
import type { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { ActionKey } from '../action-cache.ts';
import type { DroppableActionCache } from '../actions/droppable-action-cache.ts';
import type { BlobOptions } from '../blob-store.ts';
import type { ResultTier } from './result-tier.ts';
import type { UploadQueue } from './upload-queue.ts';

/** What a {@link TieredActionCache} depends on. */
export interface TieredActionCacheDependencies {
  /** The local results. */
  readonly inner: DroppableActionCache;
  readonly tier: ResultTier;
  readonly uploads: UploadQueue;
  /** As in TieredBlobStore. */
  readonly uploadWaitMs?: number | undefined;
}

/**
 * Action results with an object store behind: read through and kept here, written here and queued for there. Says
 * nothing of the blobs a result names, so completeness checking goes around it. What is dropped is dropped here alone:
 * its blobs may still be on their way from another node.
 */
export class TieredActionCache implements DroppableActionCache {
  readonly #dependencies: TieredActionCacheDependencies;

  constructor(dependencies: TieredActionCacheDependencies) {
    this.#dependencies = dependencies;
  }

  async get(key: ActionKey, options: BlobOptions = {}): Promise<ActionResult | undefined> {
    const { inner, tier } = this.#dependencies;
    const local = await inner.get(key, options);
    if (local !== undefined) return local;
    const fetched = await tier.get(key, options);
    if (fetched !== undefined) await this.#keep(key, fetched, options);
    return fetched;
  }

  async put(key: ActionKey, result: ActionResult, options: BlobOptions = {}): Promise<void> {
    const { inner, uploads, uploadWaitMs } = this.#dependencies;
    const upload = { kind: 'result', instanceName: key.instanceName, digest: key.actionDigest } as const;
    using _room = await uploads.reserve(0, options);
    await inner.put(key, result, options);
    await uploads.add(upload, 0);
    if (uploadWaitMs !== undefined) await uploads.uploaded(upload, uploadWaitMs, options);
  }

  drop(key: ActionKey, result: ActionResult): Promise<void> {
    return this.#dependencies.inner.drop(key, result);
  }

  async #keep(key: ActionKey, result: ActionResult, options: BlobOptions): Promise<void> {
    try {
      await this.#dependencies.inner.put(key, result, options);
    } catch (error) {
      // It is a good answer whether there is room to keep it or not.
      if (!isIngotError(error, Code.RESOURCE_EXHAUSTED)) throw error;
    }
  }
}
