import type { ActionCache } from '../action-cache.ts';
import type { BlobStore } from '../blob-store.ts';

/** What one instance name has behind it. */
export interface InstanceStores {
  readonly blobStore: BlobStore;
  readonly actionCache: ActionCache;
}

/** The stores of an instance; throws for a name that is malformed or not served. */
export type InstanceStoresOf = (instanceName: string) => InstanceStores;
