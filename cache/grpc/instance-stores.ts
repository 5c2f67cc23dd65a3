import type { Caller } from '../../core/caller.ts';
import type { ActionCache } from '../action-cache.ts';
import type { BlobStore } from '../blob-store.ts';

/** What one instance name has behind it. */
export interface InstanceStores {
  readonly blobStore: BlobStore;
  readonly actionCache: ActionCache;
}

/**
 * The stores of an instance as this caller sees them; throws for a name that is malformed or not served, and
 * PERMISSION_DENIED for one that is not the caller's. What the caller may not do there its stores refuse.
 */
export type InstanceStoresOf = (instanceName: string, caller: Caller) => InstanceStores;
