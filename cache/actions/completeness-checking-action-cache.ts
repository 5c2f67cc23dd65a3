import type { Digest } from '../../core/digest.ts';
import { failedPrecondition, isIngotError, wrap } from '../../core/error.ts';
import { missingBlobs } from '../../core/error-details.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { ActionCache, ActionKey } from '../action-cache.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { DroppableActionCache } from './droppable-action-cache.ts';
import { FiledResult } from './filed-result.ts';
import { missingFromResult } from './result-closure.ts';

/** Missing blobs an error names: some 100 bytes each, and the trailers of a call hold a few KiB. */
const MISSING_NAMED_MAX = 50;

/** What a {@link CompletenessCheckingActionCache} depends on. */
export interface CompletenessCheckingActionCacheDependencies {
  readonly inner: DroppableActionCache;
  readonly blobStore: BlobStore;
  readonly logger: Logger;
}

/**
 * Sees to it that a hit never names a missing blob. `get` takes a result of which some blob is gone out of the cache
 * and answers as if it had none; asking for the blobs counts as a use of them. `put` refuses such a result with
 * FAILED_PRECONDITION and a MISSING violation for each blob.
 */
export class CompletenessCheckingActionCache implements ActionCache {
  readonly #inner: DroppableActionCache;
  readonly #blobStore: BlobStore;
  readonly #logger: Logger;

  constructor({ inner, blobStore, logger }: CompletenessCheckingActionCacheDependencies) {
    this.#inner = inner;
    this.#blobStore = blobStore;
    this.#logger = logger;
  }

  async get(key: ActionKey, options: BlobOptions = {}): Promise<ActionResult | undefined> {
    const result = await this.#inner.get(key, options);
    if (result === undefined) return undefined;
    const flaw = await this.#flawOf(key, result, options);
    if (flaw === undefined) return result;
    this.#logger.info({ action: key.actionDigest.toString(), flaw }, 'a cached result is of no use any more');
    await this.#inner.drop(key, result);
    return undefined;
  }

  async put(key: ActionKey, result: ActionResult, options: BlobOptions = {}): Promise<void> {
    const missing = await this.#missing(key, result, options);
    if (missing.length > 0) {
      const named = missing.slice(0, MISSING_NAMED_MAX);
      throw failedPrecondition(
        `Put result of action ${key.actionDigest}: it names ${missing.length} absent blobs, among them ${named[0]}`,
        { details: [missingBlobs(named)] },
      );
    }
    await this.#inner.put(key, result, options);
  }

  async #flawOf(key: ActionKey, result: ActionResult, options: BlobOptions): Promise<string | undefined> {
    try {
      const [first] = await this.#missing(key, result, options);
      return first === undefined ? undefined : `blob ${first} is missing`;
    } catch (error) {
      if (isIngotError(error, Code.INVALID_ARGUMENT)) return error.message;
      throw error;
    }
  }

  async #missing({ actionDigest }: ActionKey, result: ActionResult, options: BlobOptions) {
    const { digestFunction } = actionDigest;
    const needed = new Map<string, Digest>();
    const { signal, invocationId } = options;
    try {
      const store = this.#blobStore;
      const missing = await missingFromResult(result, {
        store,
        digestFunction,
        needed,
        signal,
        invocationId,
      });
      if (missing.length === 0 && result instanceof FiledResult) result.setNeeds([...needed.values()]);
      return missing;
    } catch (error) {
      throw wrap(error, `result of action ${actionDigest}`);
    }
  }
}
