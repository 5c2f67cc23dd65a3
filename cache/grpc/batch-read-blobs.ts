import { Digest } from '../../core/digest.ts';
import { IngotError, invalidArgument, notFound, toIngotError } from '../../core/error.ts';
import { inSlices } from '../../core/in-slices.ts';
import { okStatus, statusOf } from '../../core/rpc/rpc-status.ts';
import { collectBytes } from '../../core/streams.ts';
import {
  type BatchReadBlobsRequest,
  type BatchReadBlobsResponse,
  type BatchReadBlobsResponse_Response,
  Compressor_Value,
  type DigestFunction_Value,
  type Digest as DigestMessage,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import { readAll } from '../blobs/read-all.ts';
import type { CompressedForms } from '../compression/compressed-forms.ts';
import { frameBytesMax } from '../compression/zstd-format.ts';
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
  const read = isZstdWanted ? readEncoded : readPlain;
  const responses = await inSlices(digests, READS_AT_ONCE, (some) =>
    readSome(some, digestFunction, (known) => read(known, { store, forms }, options)),
  );
  return { responses };
}

/** What an answer says of a blob it has. */
type Payload = Pick<BatchReadBlobsResponse_Response, 'data' | 'compressor'>;
/** The same, undefined when the blob is absent, or why it could not be read. */
type Read = Payload | IngotError | undefined;

/** The answers to some digests, of which the well-formed are read. */
async function readSome(
  messages: readonly DigestMessage[],
  digestFunction: DigestFunction_Value,
  read: (digests: readonly Digest[]) => Promise<readonly Read[]>,
): Promise<BatchReadBlobsResponse_Response[]> {
  const parsed = messages.map((message) => parse(message, digestFunction));
  const digests = parsed.filter((digest) => digest instanceof Digest);
  const outcomes = (await read(digests)).values();
  return parsed.map((digest, at) => {
    if (!(digest instanceof Digest)) return failed(messages[at], digest);
    const outcome = outcomes.next().value ?? notFound(`blob ${digest} is not here`);
    if (outcome instanceof IngotError) return failed(digest, outcome);
    return { digest, data: outcome.data, status: okStatus, compressor: outcome.compressor };
  });
}

function parse(message: DigestMessage, digestFunction: DigestFunction_Value): Digest | IngotError {
  try {
    return Digest.fromMessage(message, digestFunction);
  } catch (error) {
    return toIngotError(error);
  }
}

function failed(digest: DigestMessage | undefined, error: IngotError): BatchReadBlobsResponse_Response {
  return { digest, data: NO_BYTES, status: statusOf(error), compressor: Compressor_Value.IDENTITY };
}

async function readPlain(
  digests: readonly Digest[],
  { store }: BatchStores,
  options: BlobOptions,
): Promise<readonly Read[]> {
  const outcomes = await readAll(store, digests, options);
  return outcomes.map((data) =>
    data instanceof Uint8Array ? { data, compressor: Compressor_Value.IDENTITY } : data,
  );
}

/** Each compressed where that pays. */
function readEncoded(
  digests: readonly Digest[],
  stores: BatchStores,
  options: BlobOptions,
): Promise<readonly Read[]> {
  return Promise.all(digests.map((digest) => readEncodedOne(digest, stores, options).catch(toIngotError)));
}

async function readEncodedOne(
  digest: Digest,
  { store, forms }: BatchStores,
  options: BlobOptions,
): Promise<Payload | undefined> {
  const encoded = await forms.read({ digest, store }, 0, options);
  if (encoded === undefined) return undefined;
  const { source, compressor } = encoded;
  const limits = { bytesMax: frameBytesMax(digest.sizeBytes), what: `blob ${digest}` };
  return { data: await collectBytes(source, limits), compressor };
}
