import { throwIfAborted } from '../../core/abort.ts';
import type { Digest } from '../../core/digest.ts';
import { dataLoss, isIngotError, wrap } from '../../core/error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import { verifiedBytes } from '../blobs/verified-bytes.ts';
import type { ChunkSpan } from './chunk-spans.ts';

/** What {@link readChunks} reads. */
export interface ChunkReadOptions {
  readonly digest: Digest;
  readonly spans: readonly ChunkSpan[];
  /** The spans are the whole blob. */
  readonly isWhole: boolean;
  readonly inner: BlobStore;
  readonly options: BlobOptions | undefined;
  /** The chunks are right and the blob is not: its list is wrong. */
  readonly onMismatch: () => Promise<void>;
}

/**
 * A blob out of its chunks, each of which the store behind verifies. A whole blob is hashed besides, and its last bytes
 * are withheld until size and hash are right. DATA_LOSS when a chunk is damaged or has gone since the read began.
 */
export function readChunks(read: ChunkReadOptions): AsyncIterable<Uint8Array> {
  const bytes = bytesInTurn(read);
  return read.isWhole ? verifiedBytes(read.digest, bytes, read.onMismatch) : bytes;
}

async function* bytesInTurn({
  digest,
  spans,
  inner,
  options,
}: ChunkReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
  for (const { chunk, range } of spans) {
    throwIfAborted(options?.signal);
    const source = await inner.read(chunk, range, options);
    if (source === undefined) throw dataLoss(`Read ${digest}: its chunk ${chunk} is damaged or gone`);
    try {
      yield* source;
    } catch (error) {
      throw isIngotError(error, Code.DATA_LOSS) ? wrap(error, `Read ${digest}`) : error;
    }
  }
}
