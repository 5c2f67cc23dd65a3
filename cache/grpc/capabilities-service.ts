import type { ServiceImplementation } from '../../core/rpc/rpc-service.ts';
import type {
  CacheCapabilities,
  CapabilitiesDefinition,
  ExecutionCapabilities,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { SemVer } from '../../proto/gen/build/bazel/semver/semver.ts';
import type { InstanceStoresOf } from './instance-stores.ts';

const LOW_API_VERSION: SemVer = { major: 2, minor: 0, patch: 0, prerelease: '' };
/** The newest version published by number; SplitBlob and what came with it have none yet. */
const HIGH_API_VERSION: SemVer = { major: 2, minor: 11, patch: 0, prerelease: '' };

/** What an endpoint serves. */
export interface CapabilitiesServiceDependencies {
  readonly storesOf: InstanceStoresOf;
  readonly cacheCapabilities: CacheCapabilities;
  /** Absent where the endpoint does not execute. */
  readonly executionCapabilities?: ExecutionCapabilities | undefined;
}

/** Says what this endpoint can do, the same for every instance, and which of it this caller may. */
export function capabilitiesService({
  storesOf,
  cacheCapabilities,
  executionCapabilities,
}: CapabilitiesServiceDependencies): ServiceImplementation<CapabilitiesDefinition> {
  const updateEnabled = cacheCapabilities.actionCacheUpdateCapabilities?.updateEnabled === true;
  return {
    async getCapabilities({ instanceName }, { caller }) {
      storesOf(instanceName, caller);
      return {
        cacheCapabilities: {
          ...cacheCapabilities,
          actionCacheUpdateCapabilities: {
            updateEnabled: updateEnabled && caller.rights.has('publish'),
          },
        },
        executionCapabilities: executionCapabilities && {
          ...executionCapabilities,
          execEnabled: executionCapabilities.execEnabled && caller.rights.has('execute'),
        },
        deprecatedApiVersion: undefined,
        lowApiVersion: LOW_API_VERSION,
        highApiVersion: HIGH_API_VERSION,
      };
    },
  };
}
