import { Digest } from '../../core/digest.ts';
import { alreadyExists, invalidArgument, isIngotError, wrap } from '../../core/error.ts';
import type {
  SpliceBlobRequest,
  SpliceBlobResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import { type ChunkList, sameChunks } from '../chunking/chunk-list.ts';
import type { ChunkLists } from '../chunking/chunk-lists.ts';
import { ChunkedBytes } from '../chunking/chunked-bytes.ts';
import { missingChunks } from '../chunking/missing-chunks.ts';
import { SPLICE_CHUNKS_MAX } from './cache-limits.ts';

interface SpliceBlobOptions {
  readonly store: BlobStore;
  /** Of this process; absent where the store behind has them. */
  readonly lists: ChunkLists | undefined;
  readonly options: BlobOptions;
}

/**
 * Makes a blob of chunks that are there. The digest is computed, never believed. A blob that is there with the same
 * chunks, or as a whole, is taken again; with others it is ALREADY_EXISTS, and those others are the ones kept.
 */
export async function spliceBlob(
  request: SpliceBlobRequest,
  { store, lists, options }: SpliceBlobOptions,
): Promise<SpliceBlobResponse> {
  const { digest, list } = parse(request);
  const response = { blobDigest: digest.toMessage() };
  if (digest.isEmpty) return response;
  const known = await knownList(digest, { store, lists, options });
  if (known !== undefined) {
    if (sameChunks(known, list)) return response;
    throw alreadyExists(
      `Splice ${digest}: it is here in ${known.chunks.length} other chunks, which are kept`,
    );
  }
  await checkPresent(digest, list, store, options);
  try {
    await store.write(digest, new ChunkedBytes(list, store, options), options);
  } catch (error) {
    // A chunk that is found damaged is gone from then on: the client is to send it again.
    if (isIngotError(error, Code.DATA_LOSS)) await checkPresent(digest, list, store, options);
    throw error;
  }
  return response;
}

/** The list of a blob that is present by it. */
async function knownList(
  digest: Digest,
  { store, lists, options }: SpliceBlobOptions,
): Promise<ChunkList | undefined> {
  if (lists?.has(digest) !== true) return undefined;
  return (await store.findMissing([digest], options)).length === 0 ? lists.get(digest) : undefined;
}

async function checkPresent(
  digest: Digest,
  { chunks }: ChunkList,
  store: BlobStore,
  options: BlobOptions,
): Promise<void> {
  const missing = await store.findMissing(chunks, options);
  if (missing.length > 0) throw missingChunks(digest, missing);
}

function parse({ blobDigest, chunkDigests, digestFunction, chunkingFunction }: SpliceBlobRequest): {
  readonly digest: Digest;
  readonly list: ChunkList;
} {
  if (chunkDigests.length > SPLICE_CHUNKS_MAX) {
    throw invalidArgument(
      `SpliceBlob: ${chunkDigests.length} chunks, at most ${SPLICE_CHUNKS_MAX} are accepted`,
    );
  }
  let what = 'SpliceBlob';
  let digest: Digest;
  const chunks: Digest[] = [];
  try {
    digest = Digest.fromMessage(blobDigest, digestFunction);
    for (const [index, message] of chunkDigests.entries()) {
      what = `SpliceBlob: chunk ${index}`;
      const chunk = Digest.fromMessage(message, digest.digestFunction);
      if (!chunk.isEmpty) chunks.push(chunk);
    }
  } catch (error) {
    throw wrap(error, what);
  }
  const sizeBytes = chunks.reduce((sum, chunk) => sum + chunk.sizeBytes, 0);
  if (sizeBytes !== digest.sizeBytes) {
    throw invalidArgument(`Splice ${digest}: the chunks have ${sizeBytes} bytes together`);
  }
  return { digest, list: { chunks, chunkingFunction } };
}
