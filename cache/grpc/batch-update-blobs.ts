import { Digest } from '../../core/digest.ts';
import { invalidArgument, unimplemented } from '../../core/error.ts';
import { inSlices } from '../../core/in-slices.ts';
import { messageMemory } from '../../core/message-memory.ts';
import { okStatus, statusOf } from '../../core/rpc/rpc-status.ts';
import { WholeBytes } from '../../core/streams.ts';
import {
  type BatchUpdateBlobsRequest,
  type BatchUpdateBlobsRequest_Request,
  type BatchUpdateBlobsResponse,
  type BatchUpdateBlobsResponse_Response,
  Compressor_Value,
  compressor_ValueToJSON,
  type DigestFunction_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Status } from '../../proto/gen/google/rpc/status.ts';
import type { BlobOptions, WholeBlob, WriteAllOptions } from '../blob-store.ts';
import { writeAll } from '../blobs/write-all.ts';
import type { BatchStores } from './batch-read-blobs.ts';
import { BATCH_TOTAL_BYTES_MAX } from './cache-limits.ts';

/** Blobs of one batch stored at once: those that one commit of a store can make durable together. */
const WRITES_AT_ONCE = 256;

/** A blob of a batch, and its place in it. */
interface BatchItem extends WholeBlob {
  readonly at: number;
}

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
  const responses = await inSlices(requests, WRITES_AT_ONCE, async (some) => {
    const onDone = some.length === requests.length ? () => giveBack(requests) : undefined;
    const statuses = await update(some, digestFunction, stores, { ...options, onDone });
    return some.map(
      ({ digest }, at): BatchUpdateBlobsResponse_Response => ({ digest, status: statuses[at] }),
    );
  });
  return { responses };
}

/** What it takes here: a compressed one is as large as it says it will be. */
function bytesOfRequest({ data, digest, compressor }: BatchUpdateBlobsRequest_Request): number {
  const isCompressed = compressor !== Compressor_Value.IDENTITY;
  return Math.max(data.byteLength, isCompressed ? (digest?.sizeBytes ?? 0) : 0);
}

/** All data are views of the one message. */
function giveBack(requests: readonly BatchUpdateBlobsRequest_Request[]): void {
  const some = requests.find(({ data }) => data.byteLength > 0);
  if (some !== undefined) messageMemory.giveBack(some.data);
}

/** What became of each; those that are not compressed are stored together. */
async function update(
  requests: readonly BatchUpdateBlobsRequest_Request[],
  digestFunction: DigestFunction_Value,
  stores: BatchStores,
  options: WriteAllOptions,
): Promise<Status[]> {
  const statuses: Status[] = requests.map(() => okStatus);
  const whole: BatchItem[] = [];
  const others: Promise<void>[] = [];
  const writeOther = async (item: BatchItem, compressor: Compressor_Value): Promise<void> => {
    try {
      await writeCompressed(item, compressor, stores, options);
    } catch (error) {
      statuses[item.at] = statusOf(error);
    }
  };
  for (const [at, { digest: message, data, compressor }] of requests.entries()) {
    try {
      const item = { at, digest: Digest.fromMessage(message, digestFunction), bytes: data };
      if (compressor === Compressor_Value.IDENTITY) whole.push(item);
      else others.push(writeOther(item, compressor));
    } catch (error) {
      statuses[at] = statusOf(error);
    }
  }
  // Of a frame that is read elsewhere the store of the others knows nothing.
  const onDone = others.length === 0 ? options.onDone : undefined;
  const writing = writeAll(stores.store, whole, { ...options, onDone });
  const [outcomes] = await Promise.all([writing, ...others]);
  for (const [index, error] of outcomes.entries()) {
    const { at } = whole[index] as BatchItem;
    if (error !== undefined) statuses[at] = statusOf(error);
  }
  return statuses;
}

async function writeCompressed(
  { digest, bytes }: BatchItem,
  compressor: Compressor_Value,
  { store, forms }: BatchStores,
  options: BlobOptions,
): Promise<void> {
  if (compressor === Compressor_Value.ZSTD) {
    return forms.write({ digest, store }, new WholeBytes(bytes), options);
  }
  throw unimplemented(`Write ${digest}: compressor ${compressor_ValueToJSON(compressor)} is not announced`);
}
