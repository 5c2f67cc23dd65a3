import type { Digest } from '../core/digest.ts';
import type { IngotError } from '../core/error.ts';
import type { IoOptions } from '../core/io-options.ts';

/** Part of a blob. */
export interface ByteRange {
  /** First byte; at most the blob's size, else OUT_OF_RANGE. */
  readonly offset: number;
  /** At most this many bytes; undefined reads to the end. */
  readonly limit?: number | undefined;
}

/** Options of a blob store's methods. */
export interface BlobOptions extends IoOptions {
  /**
   * The client's build, RequestMetadata's tool_invocation_id: what it finds, reads or writes stays for as long as it is
   * live, whatever eviction wants. A store passes it on to the one behind it.
   */
  readonly invocationId?: string | undefined;
}

/** Options of {@link BlobStore.writeAll}. */
export interface WriteAllOptions extends BlobOptions {
  /** Called when all went well and nobody looks at any of the bytes any more; never by a store that cannot tell. */
  readonly onDone?: (() => void) | undefined;
}

/** A blob all of whose bytes are in memory. */
export interface WholeBlob {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** What became of one of several writes: why it failed, or undefined when the blob is durable. */
export type WriteOutcome = IngotError | undefined;

/** What became of one of several reads: the bytes, undefined when the blob is absent, or why it failed. */
export type ReadOutcome = Uint8Array | IngotError | undefined;

/**
 * Bytes by their digest. The empty blob is always present. Implementations are bare; verifying, limiting,
 * metering and the like are decorators on this interface.
 */
export interface BlobStore {
  /** Those of the digests that are absent, each once. Exact, and counts as a use of those present. */
  findMissing(digests: readonly Digest[], options?: BlobOptions): Promise<Digest[]>;
  /**
   * The blob's bytes, or undefined when absent. A whole-blob read never ends as finished with bytes that do
   * not match the digest: it throws DATA_LOSS before the last chunk instead.
   */
  read(
    digest: Digest,
    range?: ByteRange,
    options?: BlobOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined>;
  /**
   * As `read` of the whole of each, with the outcomes in order; rejects only for what concerns them all. A store has it
   * that has many in memory and so needs no promise for each; call it through `readAll` of cache/blobs, with blobs that
   * fit in memory together.
   */
  readAll?(digests: readonly Digest[], options?: BlobOptions): Promise<readonly ReadOutcome[]>;
  /**
   * Stores the blob; resolves when it is durable. INVALID_ARGUMENT when the bytes are not the digest's, and
   * then nothing is kept. When the blob is present already it may resolve without reading `source` to its end.
   */
  write(digest: Digest, source: AsyncIterable<Uint8Array>, options?: BlobOptions): Promise<void>;
  /**
   * As `write` of each, with the outcomes in order; rejects only for what concerns them all. A store has it that makes
   * many durable at once and so needs no promise for each; call it through `writeAll` of cache/blobs.
   */
  writeAll?(blobs: readonly WholeBlob[], options?: WriteAllOptions): Promise<readonly WriteOutcome[]>;
}
