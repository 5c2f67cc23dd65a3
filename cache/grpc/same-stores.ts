import { checkInstanceName } from '../../core/resource-name.ts';
import type { InstanceStores, InstanceStoresOf } from './instance-stores.ts';

/** The same stores under every valid instance name; INVALID_ARGUMENT for others. Action results are keyed by name. */
export function sameStoresFor(stores: InstanceStores): InstanceStoresOf {
  return (instanceName) => {
    checkInstanceName(instanceName);
    return stores;
  };
}
