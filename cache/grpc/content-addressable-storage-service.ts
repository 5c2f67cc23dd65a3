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
  const blobStoreOf = ({ instanceName }: { readonly instanceName: string }) =>
    storesOf(instanceName).blobStore;
  return {
    async findMissingBlobs(request, { signal }) {
      const store = blobStoreOf(request);
      return findMissingBlobs(request, (digests) => store.findMissing(digests, { signal }));
    },
    async batchUpdateBlobs(request, { signal }) {
      return batchUpdateBlobs(request, blobStoreOf(request), { signal });
    },
    async batchReadBlobs(request, { signal }) {
      return batchReadBlobs(request, blobStoreOf(request), { signal });
    },
    getTree: (request, { signal }: CallContext) => getTree(request, blobStoreOf(request), { signal }),
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
