import type { CallContext, ServiceImplementation } from '../../core/rpc/rpc-service.ts';
import type { BlobSplitter } from '../chunking/blob-splitter.ts';
import type { ChunkLists } from '../chunking/chunk-lists.ts';
import type { CompressedForms } from '../compression/compressed-forms.ts';
import { batchReadBlobs } from './batch-read-blobs.ts';
import { batchUpdateBlobs } from './batch-update-blobs.ts';
import { blobOptionsOf } from './blob-options.ts';
import { findMissingBlobs } from './find-missing-blobs.ts';
import { getTree } from './get-tree.ts';
import type { InstanceStoresOf } from './instance-stores.ts';
import { spliceBlob } from './splice-blob.ts';
import { splitBlob } from './split-blob.ts';
import type { CasDefinition } from './wire/cas-definition.ts';

/** What the ContentAddressableStorage service depends on. */
export interface ContentAddressableStorageServiceDependencies {
  readonly storesOf: InstanceStoresOf;
  readonly splitterOf: (instanceName: string) => BlobSplitter;
  /** Those of this process; absent where the stores are another process's. */
  readonly chunkLists?: ChunkLists | undefined;
  readonly forms: CompressedForms;
}

/** The CAS over the stores of each instance. */
export function contentAddressableStorageService({
  storesOf,
  splitterOf,
  chunkLists: lists,
  forms,
}: ContentAddressableStorageServiceDependencies): ServiceImplementation<CasDefinition> {
  const blobStoreOf = (
    { instanceName }: { readonly instanceName: string },
    { caller }: Pick<CallContext, 'caller'>,
  ) => storesOf(instanceName, caller).blobStore;
  return {
    async findMissingBlobs(request, context) {
      return findMissingBlobs(request, blobStoreOf(request, context), blobOptionsOf(context));
    },
    async batchUpdateBlobs(request, context) {
      return batchUpdateBlobs(
        request,
        { store: blobStoreOf(request, context), forms },
        blobOptionsOf(context),
      );
    },
    async batchReadBlobs(request, context) {
      return batchReadBlobs(request, { store: blobStoreOf(request, context), forms }, blobOptionsOf(context));
    },
    getTree: (request, context: CallContext) =>
      getTree(request, blobStoreOf(request, context), blobOptionsOf(context)),
    async splitBlob(request, context) {
      return splitBlob(request, {
        store: blobStoreOf(request, onItsBehalf(context)),
        splitter: splitterOf(request.instanceName),
        options: blobOptionsOf(context),
      });
    },
    async spliceBlob(request, context) {
      return spliceBlob(request, {
        store: blobStoreOf(request, onItsBehalf(context)),
        lists,
        options: blobOptionsOf(context),
      });
    },
  };
}

/**
 * The call with the rights of what we do for it. Its own are checked by then, one for the method: who may read may have
 * a blob cut, which writes its chunks, and who may write may have one put together, which reads them.
 */
function onItsBehalf({ caller }: CallContext): Pick<CallContext, 'caller'> {
  return { caller: { ...caller, rights: new Set([...caller.rights, 'read', 'write']) } };
}
