import { mapConcurrent } from '../../core/concurrency.ts';
import { Digest } from '../../core/digest.ts';
import { invalidArgument, unimplemented } from '../../core/error.ts';
import { bytesOf } from '../../core/streams.ts';
import {
  type BatchUpdateBlobsRequest,
  type BatchUpdateBlobsRequest_Request,
  type BatchUpdateBlobsResponse,
  Compressor_Value,
  compressor_ValueToJSON,
  type DigestFunction_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import { okStatus, statusOf } from './batch-status.ts';
import { BATCH_TOTAL_BYTES_MAX } from './cache-limits.ts';

/** Blobs of one batch stored at once; file systems gain nothing beyond it. */
const WRITES_AT_ONCE = 16;

/** Stores each blob for itself. A batch over the announced size is refused as a whole. */
export async function batchUpdateBlobs(
  { requests, digestFunction }: BatchUpdateBlobsRequest,
  store: BlobStore,
  options: BlobOptions,
): Promise<BatchUpdateBlobsResponse> {
  const bytes = requests.reduce((sum, { data }) => sum + data.byteLength, 0);
  if (bytes > BATCH_TOTAL_BYTES_MAX) {
    throw invalidArgument(
      `BatchUpdateBlobs: ${bytes} bytes in all blobs, at most ${BATCH_TOTAL_BYTES_MAX} are accepted`,
    );
  }
  const responses = await mapConcurrent(
    requests,
    WRITES_AT_ONCE,
    async (request, signal) => {
      try {
        await update(request, digestFunction, { store, signal, invocationId: options.invocationId });
        return { digest: request.digest, status: okStatus };
      } catch (error) {
        return { digest: request.digest, status: statusOf(error) };
      }
    },
    options,
  );
  return { responses };
}

async function update(
  { digest: message, data, compressor }: BatchUpdateBlobsRequest_Request,
  digestFunction: DigestFunction_Value,
  { store, ...options }: BlobOptions & { readonly store: BlobStore },
): Promise<void> {
  const digest = Digest.fromMessage(message, digestFunction);
  if (compressor !== Compressor_Value.IDENTITY) {
    throw unimplemented(`Write ${digest}: compressor ${compressor_ValueToJSON(compressor)} is not announced`);
  }
  await store.write(digest, bytesOf(data), options);
}
