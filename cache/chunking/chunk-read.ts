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
  readonly inner: BlobStore;
  readonly options: BlobOptions | undefined;
  /** Set for a whole blob whose list is not known to be right. */
  readonly check?: ChunkListCheck | undefined;
}

/** Who wants to know how the check of a whole blob ended. */
export interface ChunkListCheck {
  onGood(): void;
  /** The chunks are right and the blob is not: its list is wrong. */
  onBad(): Promise<void>;
}

/**
 * A blob out of its chunks, each of which the store behind verifies. With a check the whole is hashed besides, and its
 * last bytes are withheld until size and hash are right. DATA_LOSS when a chunk is damaged or has gone meanwhile.
 */
export async function* readChunks(read: ChunkReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
  const { digest, check } = read;
  const bytes = bytesInTurn(read);
  if (check === undefined) return yield* bytes;
  yield* verifiedBytes(digest, bytes, () => check.onBad());
  check.onGood();
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
