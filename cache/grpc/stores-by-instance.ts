import { checkInstanceName } from '../../core/resource-name.ts';
import type { InstanceStores, InstanceStoresOf } from './instance-stores.ts';

/** Instances whose stores are kept made: they are thin, and a client may name as many as it likes. */
const INSTANCES_MAX = 1000;

/** Stores of their own for every valid instance name; INVALID_ARGUMENT for others. */
export function storesByInstance(make: (instanceName: string) => InstanceStores): InstanceStoresOf {
  const made = new Map<string, InstanceStores>();
  return (instanceName) => {
    const known = made.get(instanceName);
    if (known !== undefined) return known;
    checkInstanceName(instanceName);
    const stores = make(instanceName);
    made.set(instanceName, stores);
    const [oldest] = made.keys();
    if (made.size > INSTANCES_MAX && oldest !== undefined) made.delete(oldest);
    return stores;
  };
}
