import { Digest } from '../../core/digest.ts';
import { invalidArgument, wrap } from '../../core/error.ts';
import { TimeSlice } from '../../core/time-slice.ts';
import type {
  DigestFunction_Value,
  Digest as DigestMessage,
  FindMissingBlobsRequest,
  FindMissingBlobsResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import { FIND_MISSING_DIGESTS_MAX } from './cache-limits.ts';

/** Digests parsed and looked up before other calls may get their turn. */
const SLICE_DIGESTS = 4096;

/** Asks the store in slices, so that a long list keeps nobody waiting. */
export async function findMissingBlobs(
  { blobDigests, digestFunction }: FindMissingBlobsRequest,
  store: BlobStore,
  options: BlobOptions,
): Promise<FindMissingBlobsResponse> {
  if (blobDigests.length > FIND_MISSING_DIGESTS_MAX) {
    throw invalidArgument(
      `FindMissingBlobs: ${blobDigests.length} digests, at most ${FIND_MISSING_DIGESTS_MAX} are accepted`,
    );
  }
  if (blobDigests.length <= SLICE_DIGESTS) {
    const missing = await store.findMissing(parseSlice(blobDigests, digestFunction, 0), options);
    return { missingBlobDigests: missing };
  }
  const slice = new TimeSlice();
  const missing = new Map<string, Digest>();
  for (let start = 0; start < blobDigests.length; start += SLICE_DIGESTS) {
    const digests = parseSlice(blobDigests, digestFunction, start);
    for (const digest of await store.findMissing(digests, options)) missing.set(digest.key, digest);
    await slice.pause();
  }
  return { missingBlobDigests: [...missing.values()] };
}

function parseSlice(
  messages: readonly DigestMessage[],
  digestFunction: DigestFunction_Value,
  start: number,
): Digest[] {
  const end = Math.min(start + SLICE_DIGESTS, messages.length);
  const digests: Digest[] = [];
  for (let index = start; index < end; index++) {
    try {
      digests.push(Digest.fromMessage(messages[index], digestFunction));
    } catch (error) {
      throw wrap(error, `FindMissingBlobs: digest ${index}`);
    }
  }
  return digests;
}
