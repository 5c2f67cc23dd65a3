import { Digest } from '../../core/digest.ts';
import { invalidArgument, notFound } from '../../core/error.ts';
import { inSlices } from '../../core/in-slices.ts';
import { collectBytes, WholeBytes } from '../../core/streams.ts';
import {
  type BatchReadBlobsRequest,
  type BatchReadBlobsResponse,
  Compressor_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import { okStatus, statusOf } from './batch-status.ts';
import { BATCH_TOTAL_BYTES_MAX, RESPONSE_BYTES_MAX } from './cache-limits.ts';

/** Blobs of one batch read at once: most are in memory, and of the others a file is open each. */
const READS_AT_ONCE = 64;
/** What an item takes in an answer besides its bytes: digest, status and their tags. */
const ITEM_BYTES = 100;
const NO_BYTES = Buffer.alloc(0);

/** Reads each blob for itself. A batch that asks for more than the announced size is refused as a whole. */
export async function batchReadBlobs(
  { digests, digestFunction }: BatchReadBlobsRequest,
  store: BlobStore,
  options: BlobOptions,
): Promise<BatchReadBlobsResponse> {
  const bytes = digests.reduce((sum, { sizeBytes }) => sum + Math.max(0, sizeBytes), 0);
  if (bytes > BATCH_TOTAL_BYTES_MAX) {
    throw invalidArgument(
      `BatchReadBlobs: ${bytes} bytes in all blobs, at most ${BATCH_TOTAL_BYTES_MAX} are given`,
    );
  }
  if (bytes + digests.length * ITEM_BYTES > RESPONSE_BYTES_MAX) {
    throw invalidArgument(
      `BatchReadBlobs: ${digests.length} digests with ${bytes} bytes would make an answer of over ${RESPONSE_BYTES_MAX} bytes`,
    );
  }
  const compressor = Compressor_Value.IDENTITY;
  const responses = await inSlices(digests, READS_AT_ONCE, async (digest) => {
    try {
      const data = await readBlob(Digest.fromMessage(digest, digestFunction), store, options);
      return { digest, data, status: okStatus, compressor };
    } catch (error) {
      return { digest, data: NO_BYTES, status: statusOf(error), compressor };
    }
  });
  return { responses };
}

async function readBlob(digest: Digest, store: BlobStore, options: BlobOptions): Promise<Uint8Array> {
  const source = await store.read(digest, undefined, options);
  if (source === undefined) throw notFound(`blob ${digest} is not here`);
  if (source instanceof WholeBytes) return source.bytes;
  return collectBytes(source, { bytesMax: digest.sizeBytes, what: `blob ${digest}` });
}
