import { setImmediate } from 'node:timers/promises';
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
import { distinctDigests } from '../disk/distinct-digests.ts';
import { FIND_MISSING_DIGESTS_MAX } from './cache-limits.ts';

/** Digests parsed and looked up before other calls may get their turn. */
const SLICE_DIGESTS = 2048;

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
  return { missingBlobDigests: await findMissingOfMany(blobDigests, digestFunction, { store, options }) };
}

/** Reading the request has taken its time already, and writing the answer will: each gets a turn of its own. */
async function findMissingOfMany(
  messages: readonly DigestMessage[],
  digestFunction: DigestFunction_Value,
  { store, options }: { readonly store: BlobStore; readonly options: BlobOptions },
): Promise<Digest[]> {
  const missing: Digest[] = [];
  await setImmediate();
  const slice = new TimeSlice();
  for (let start = 0; start < messages.length; start += SLICE_DIGESTS) {
    const absent = await store.findMissing(parseSlice(messages, digestFunction, start), options);
    for (const digest of absent) missing.push(digest);
    await slice.pause();
  }
  await setImmediate();
  const distinct = distinctDigests(missing);
  await setImmediate();
  return distinct;
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
