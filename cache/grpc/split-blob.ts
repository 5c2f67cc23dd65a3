import { Digest } from '../../core/digest.ts';
import { notFound, wrap } from '../../core/error.ts';
import type {
  DigestFunction_Value,
  Digest as DigestMessage,
  SplitBlobRequest,
  SplitBlobResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { BlobSplitter } from '../chunking/blob-splitter.ts';

interface SplitBlobOptions {
  readonly store: BlobStore;
  readonly splitter: BlobSplitter;
  readonly options: BlobOptions;
}

/** The chunks of a blob. The wanted chunking function is a hint which we do not need: one of ours is what there is. */
export async function splitBlob(
  { blobDigest, digestFunction }: SplitBlobRequest,
  { store, splitter, options }: SplitBlobOptions,
): Promise<SplitBlobResponse> {
  const digest = digestOf(blobDigest, digestFunction);
  const list = await splitter.split(digest, store, options);
  if (list === undefined) throw notFound(`Split ${digest}: the blob or a chunk of it is not here`);
  return {
    chunkDigests: list.chunks.map((chunk) => chunk.toMessage()),
    chunkingFunction: list.chunkingFunction,
  };
}

function digestOf(message: DigestMessage | undefined, digestFunction: DigestFunction_Value): Digest {
  try {
    return Digest.fromMessage(message, digestFunction);
  } catch (error) {
    throw wrap(error, 'SplitBlob');
  }
}
