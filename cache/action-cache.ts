import type { Digest } from '../core/digest.ts';
import type { ActionResult } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions } from './blob-store.ts';

/** What an action result is filed under. */
export interface ActionKey {
  readonly instanceName: string;
  readonly actionDigest: Digest;
}

/** Results of actions by action digest. Bare; completeness checking and the like are decorators on it. */
export interface ActionCache {
  /** The result, or undefined. */
  get(key: ActionKey, options?: BlobOptions): Promise<ActionResult | undefined>;
  /** Files a result, in place of an older one; resolves when it is durable. */
  put(key: ActionKey, result: ActionResult, options?: BlobOptions): Promise<void>;
}
