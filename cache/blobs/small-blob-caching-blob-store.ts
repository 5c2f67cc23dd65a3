import type { Digest } from '../../core/digest.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { bytesOf, collectBytes } from '../../core/streams.ts';
import type { BlobStore, ByteRange } from '../blob-store.ts';
import type { SmallBlobMemory } from './small-blob-memory.ts';

/** Larger ones are read anew each time: few are, and they would push out many small ones. */
const CACHED_BLOB_BYTES_MAX = 256 * 1024;

/** What {@link SmallBlobCachingBlobStore} depends on. */
export interface SmallBlobCachingBlobStoreDependencies {
  readonly inner: BlobStore;
  readonly memory: SmallBlobMemory;
}

/**
 * Keeps small blobs it has read in memory. For reading Directory messages: the actions of a build share most of theirs.
 * A blob in memory may be gone from the store behind it; who must know asks `findMissing`, which is never answered
 * from memory. Every reader gets bytes of its own.
 */
export class SmallBlobCachingBlobStore implements BlobStore {
  readonly #inner: BlobStore;
  readonly #memory: SmallBlobMemory;

  constructor({ inner, memory }: SmallBlobCachingBlobStoreDependencies) {
    this.#inner = inner;
    this.#memory = memory;
  }

  findMissing(digests: readonly Digest[], options?: IoOptions): Promise<Digest[]> {
    return this.#inner.findMissing(digests, options);
  }

  async read(
    digest: Digest,
    range?: ByteRange,
    options?: IoOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    if (range !== undefined || digest.sizeBytes > CACHED_BLOB_BYTES_MAX) {
      return await this.#inner.read(digest, range, options);
    }
    const cached = this.#memory.get(digest.key);
    if (cached !== undefined) return bytesOf(Uint8Array.from(cached));
    const source = await this.#inner.read(digest, undefined, options);
    if (source === undefined) return undefined;
    const bytes = await collectBytes(source, { bytesMax: digest.sizeBytes, what: `blob ${digest}` });
    this.#memory.keep(digest.key, bytes);
    return bytesOf(Uint8Array.from(bytes));
  }

  write(digest: Digest, source: AsyncIterable<Uint8Array>, options?: IoOptions): Promise<void> {
    return this.#inner.write(digest, source, options);
  }
}
