import { unimplemented } from '../../core/error.ts';
import type { CallContext, ServiceImplementation } from '../../core/rpc/rpc-service.ts';
import { batchReadBlobs } from './batch-read-blobs.ts';
import { batchUpdateBlobs } from './batch-update-blobs.ts';
import { blobOptionsOf } from './blob-options.ts';
import { findMissingBlobs } from './find-missing-blobs.ts';
import { getTree } from './get-tree.ts';
import type { InstanceStoresOf } from './instance-stores.ts';
import type { CasDefinition } from './wire/cas-definition.ts';

/** What the ContentAddressableStorage service depends on. */
export interface ContentAddressableStorageServiceDependencies {
  readonly storesOf: InstanceStoresOf;
}

/** The CAS over the stores of each instance. SplitBlob and SpliceBlob are not announced and UNIMPLEMENTED. */
export function contentAddressableStorageService({
  storesOf,
}: ContentAddressableStorageServiceDependencies): ServiceImplementation<CasDefinition> {
  const blobStoreOf = ({ instanceName }: { readonly instanceName: string }, { caller }: CallContext) =>
    storesOf(instanceName, caller).blobStore;
  return {
    async findMissingBlobs(request, context) {
      return findMissingBlobs(request, blobStoreOf(request, context), blobOptionsOf(context));
    },
    async batchUpdateBlobs(request, context) {
      return batchUpdateBlobs(request, blobStoreOf(request, context), blobOptionsOf(context));
    },
    async batchReadBlobs(request, context) {
      return batchReadBlobs(request, blobStoreOf(request, context), blobOptionsOf(context));
    },
    getTree: (request, context: CallContext) =>
      getTree(request, blobStoreOf(request, context), blobOptionsOf(context)),
    async splitBlob() {
      throw unimplemented('SplitBlob is not announced');
    },
    async spliceBlob() {
      throw unimplemented('SpliceBlob is not announced');
    },
  };
}
