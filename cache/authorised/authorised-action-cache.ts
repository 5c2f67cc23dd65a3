import { requireRight } from '../../core/auth/require-right.ts';
import type { Caller } from '../../core/caller.ts';
import type { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionCache, ActionKey } from '../action-cache.ts';
import type { BlobOptions } from '../blob-store.ts';

/** What an {@link AuthorisedActionCache} is made of. */
export interface AuthorisedActionCacheDependencies {
  readonly inner: ActionCache;
  readonly caller: Caller;
}

/** An action cache as one caller may use it: PERMISSION_DENIED for what its rights do not cover. */
export class AuthorisedActionCache implements ActionCache {
  readonly #inner: ActionCache;
  readonly #caller: Caller;

  constructor({ inner, caller }: AuthorisedActionCacheDependencies) {
    this.#inner = inner;
    this.#caller = caller;
  }

  async get(key: ActionKey, options?: BlobOptions): Promise<ActionResult | undefined> {
    requireRight(this.#caller, ['read'], 'read an action result');
    return this.#inner.get(key, options);
  }

  async put(key: ActionKey, result: ActionResult, options?: BlobOptions): Promise<void> {
    requireRight(this.#caller, ['publish'], 'file an action result');
    await this.#inner.put(key, result, options);
  }
}
