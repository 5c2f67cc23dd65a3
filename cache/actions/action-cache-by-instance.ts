import { anonymous } from '../../core/caller.ts';
import type { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionCache, ActionKey } from '../action-cache.ts';
import type { BlobOptions } from '../blob-store.ts';
import type { InstanceStoresOf } from '../grpc/instance-stores.ts';

/** What an {@link ActionCacheByInstance} is made of. */
export interface ActionCacheByInstanceDependencies {
  readonly storesOf: InstanceStoresOf;
}

/** One action cache over those of all instances, for a role of the farm; a result is complete in its own instance. */
export class ActionCacheByInstance implements ActionCache {
  readonly #storesOf: InstanceStoresOf;

  constructor({ storesOf }: ActionCacheByInstanceDependencies) {
    this.#storesOf = storesOf;
  }

  get(key: ActionKey, options?: BlobOptions): Promise<ActionResult | undefined> {
    return this.#of(key).get(key, options);
  }

  put(key: ActionKey, result: ActionResult, options?: BlobOptions): Promise<void> {
    return this.#of(key).put(key, result, options);
  }

  #of({ instanceName }: ActionKey): ActionCache {
    return this.#storesOf(instanceName, anonymous).actionCache;
  }
}
