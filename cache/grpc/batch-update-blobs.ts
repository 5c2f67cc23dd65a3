import { Digest } from '../../core/digest.ts';
import { invalidArgument, unimplemented } from '../../core/error.ts';
import { inSlices } from '../../core/in-slices.ts';
import { WholeBytes } from '../../core/streams.ts';
import {
  type BatchUpdateBlobsRequest,
  type BatchUpdateBlobsRequest_Request,
  type BatchUpdateBlobsResponse,
  Compressor_Value,
  compressor_ValueToJSON,
  type DigestFunction_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Status } from '../../proto/gen/google/rpc/status.ts';
import type { BlobOptions } from '../blob-store.ts';
import type { BatchStores } from './batch-read-blobs.ts';
import { okStatus, statusOf } from './batch-status.ts';
import { BATCH_TOTAL_BYTES_MAX } from './cache-limits.ts';

/** Blobs of one batch stored at once: those that one commit of a store can make durable together. */
const WRITES_AT_ONCE = 256;

/** Stores each blob for itself. A batch over the announced size is refused as a whole. */
export async function batchUpdateBlobs(
  { requests, digestFunction }: BatchUpdateBlobsRequest,
  stores: BatchStores,
  options: BlobOptions,
): Promise<BatchUpdateBlobsResponse> {
  const bytes = requests.reduce((sum, request) => sum + bytesOfRequest(request), 0);
  if (bytes > BATCH_TOTAL_BYTES_MAX) {
    throw invalidArgument(
      `BatchUpdateBlobs: ${bytes} bytes in all blobs, at most ${BATCH_TOTAL_BYTES_MAX} are accepted`,
    );
  }
  const statuses = await inSlices(requests, WRITES_AT_ONCE, (request) =>
    update(request, digestFunction, stores, options).then(whenStored, statusOf),
  );
  return { responses: requests.map(({ digest }, at) => ({ digest, status: statuses[at] })) };
}

/** What it takes here: a compressed one is as large as it says it will be. */
function bytesOfRequest({ data, digest, compressor }: BatchUpdateBlobsRequest_Request): number {
  const isCompressed = compressor !== Compressor_Value.IDENTITY;
  return Math.max(data.byteLength, isCompressed ? (digest?.sizeBytes ?? 0) : 0);
}

const whenStored = (): Status => okStatus;

/** Rejects with what is wrong with the request, too. */
function update(
  request: BatchUpdateBlobsRequest_Request,
  digestFunction: DigestFunction_Value,
  stores: BatchStores,
  options: BlobOptions,
): Promise<void> {
  try {
    return write(request, digestFunction, stores, options);
  } catch (error) {
    return Promise.reject(error);
  }
}

function write(
  { digest: message, data, compressor }: BatchUpdateBlobsRequest_Request,
  digestFunction: DigestFunction_Value,
  { store, forms }: BatchStores,
  options: BlobOptions,
): Promise<void> {
  const digest = Digest.fromMessage(message, digestFunction);
  const source = new WholeBytes(data);
  if (compressor === Compressor_Value.IDENTITY) return store.write(digest, source, options);
  if (compressor === Compressor_Value.ZSTD) return forms.write({ digest, store }, source, options);
  throw unimplemented(`Write ${digest}: compressor ${compressor_ValueToJSON(compressor)} is not announced`);
}
