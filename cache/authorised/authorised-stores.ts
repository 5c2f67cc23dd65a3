import { requireInstance } from '../../core/auth/require-right.ts';
import type { Caller, Right } from '../../core/caller.ts';
import { checkInstanceName } from '../../core/resource-name.ts';
import type { InstanceStoresOf } from '../grpc/instance-stores.ts';
import { AuthorisedActionCache } from './authorised-action-cache.ts';
import { AuthorisedBlobStore } from './authorised-blob-store.ts';

/** Whoever has these meets no refusal in a store. */
const STORE_RIGHTS: readonly Right[] = ['read', 'write', 'publish'];

/**
 * Stores of an instance as a caller may use them. INVALID_ARGUMENT for a malformed name, PERMISSION_DENIED for one that
 * is not the caller's: `inner` is not asked for either, so nothing comes to be for a name that was refused.
 */
export function authorisedStoresOf(inner: InstanceStoresOf): InstanceStoresOf {
  return (instanceName: string, caller: Caller) => {
    if (caller.instanceNames !== undefined) {
      checkInstanceName(instanceName);
      requireInstance(caller, instanceName);
    }
    const stores = inner(instanceName, caller);
    if (STORE_RIGHTS.every((right) => caller.rights.has(right))) return stores;
    return {
      blobStore: new AuthorisedBlobStore({ inner: stores.blobStore, caller }),
      actionCache: new AuthorisedActionCache({ inner: stores.actionCache, caller }),
    };
  };
}
