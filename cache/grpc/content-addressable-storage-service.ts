import { Digest } from '../../core/digest.ts';
import { invalidArgument, unimplemented, wrap } from '../../core/error.ts';
import type { CallContext, ServiceImplementation } from '../../core/rpc/rpc-service.ts';
import type {
  ContentAddressableStorageDefinition,
  FindMissingBlobsRequest,
  FindMissingBlobsResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { batchReadBlobs } from './batch-read-blobs.ts';
import { batchUpdateBlobs } from './batch-update-blobs.ts';
import { blobOptionsOf } from './blob-options.ts';
import { FIND_MISSING_DIGESTS_MAX } from './cache-limits.ts';
import { getTree } from './get-tree.ts';
import type { InstanceStoresOf } from './instance-stores.ts';

/** Digests parsed and looked up before other calls get their turn. */
const SLICE_DIGESTS = 2048;

/** What the ContentAddressableStorage service depends on. */
export interface ContentAddressableStorageServiceDependencies {
  readonly storesOf: InstanceStoresOf;
}

/** The CAS over the stores of each instance. SplitBlob and SpliceBlob are not announced and UNIMPLEMENTED. */
export function contentAddressableStorageService({
  storesOf,
}: ContentAddressableStorageServiceDependencies): ServiceImplementation<ContentAddressableStorageDefinition> {
  const blobStoreOf = ({ instanceName }: { readonly instanceName: string }, { caller }: CallContext) =>
    storesOf(instanceName, caller).blobStore;
  return {
    async findMissingBlobs(request, context) {
      const store = blobStoreOf(request, context);
      const options = blobOptionsOf(context);
      return findMissingBlobs(request, (digests) => store.findMissing(digests, options));
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

async function findMissingBlobs(
  { blobDigests, digestFunction }: FindMissingBlobsRequest,
  findMissing: (digests: readonly Digest[]) => Promise<Digest[]>,
): Promise<FindMissingBlobsResponse> {
  if (blobDigests.length > FIND_MISSING_DIGESTS_MAX) {
    throw invalidArgument(
      `FindMissingBlobs: ${blobDigests.length} digests, at most ${FIND_MISSING_DIGESTS_MAX} are accepted`,
    );
  }
  const missing = new Map<string, Digest>();
  for (let start = 0; start < blobDigests.length; start += SLICE_DIGESTS) {
    const digests = blobDigests.slice(start, start + SLICE_DIGESTS).map((message, index) => {
      try {
        return Digest.fromMessage(message, digestFunction);
      } catch (error) {
        throw wrap(error, `FindMissingBlobs: digest ${start + index}`);
      }
    });
    for (const digest of await findMissing(digests)) missing.set(digest.key, digest);
  }
  return { missingBlobDigests: [...missing.values()].map((digest) => digest.toMessage()) };
}
