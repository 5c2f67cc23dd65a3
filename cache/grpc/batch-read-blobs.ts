import { Digest } from '../../core/digest.ts';
import { invalidArgument, notFound } from '../../core/error.ts';
import { inSlices } from '../../core/in-slices.ts';
import { collectBytes, WholeBytes } from '../../core/streams.ts';
import {
  type BatchReadBlobsRequest,
  type BatchReadBlobsResponse,
  type BatchReadBlobsResponse_Response,
  Compressor_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { CompressedForms, StoredBlob } from '../compression/compressed-forms.ts';
import { frameBytesMax } from '../compression/zstd-format.ts';
import { okStatus, statusOf } from './batch-status.ts';
import { BATCH_TOTAL_BYTES_MAX, RESPONSE_BYTES_MAX } from './cache-limits.ts';

/** Blobs of one batch read at once: most are in memory, and of the others a file is open each. */
const READS_AT_ONCE = 64;
/** What an item takes in an answer besides its bytes: digest, status and their tags. */
const ITEM_BYTES = 100;
const NO_BYTES = Buffer.alloc(0);

/** What a batch reads from or writes to. */
export interface BatchStores {
  readonly store: BlobStore;
  readonly forms: CompressedForms;
}

/** Reads each blob for itself. A batch that asks for more than the announced size is refused as a whole. */
export async function batchReadBlobs(
  { digests, digestFunction, acceptableCompressors }: BatchReadBlobsRequest,
  { store, forms }: BatchStores,
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
  const isZstdWanted = acceptableCompressors.includes(Compressor_Value.ZSTD);
  const responses = await inSlices(digests, READS_AT_ONCE, async (message) => {
    try {
      const digest = Digest.fromMessage(message, digestFunction);
      if (isZstdWanted) {
        return { digest, ...(await readEncoded({ digest, store }, forms, options)), status: okStatus };
      }
      const source = await store.read(digest, undefined, options);
      const data = source instanceof WholeBytes ? source.bytes : await bytesOf(digest, source);
      return { digest, data, status: okStatus, compressor: Compressor_Value.IDENTITY };
    } catch (error) {
      return {
        digest: message,
        data: NO_BYTES,
        status: statusOf(error),
        compressor: Compressor_Value.IDENTITY,
      };
    }
  });
  return { responses };
}

async function bytesOf(digest: Digest, source: AsyncIterable<Uint8Array> | undefined): Promise<Uint8Array> {
  if (source === undefined) throw notFound(`blob ${digest} is not here`);
  return collectBytes(source, { bytesMax: digest.sizeBytes, what: `blob ${digest}` });
}

/** The blob compressed where that pays. */
async function readEncoded(
  blob: StoredBlob,
  forms: CompressedForms,
  options: BlobOptions,
): Promise<Pick<BatchReadBlobsResponse_Response, 'data' | 'compressor'>> {
  const { digest } = blob;
  const encoded = await forms.read(blob, 0, options);
  if (encoded === undefined) throw notFound(`blob ${digest} is not here`);
  const { source, compressor } = encoded;
  const limits = { bytesMax: frameBytesMax(digest.sizeBytes), what: `blob ${digest}` };
  return { data: await collectBytes(source, limits), compressor };
}
