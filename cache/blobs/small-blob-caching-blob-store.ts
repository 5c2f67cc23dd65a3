import type { Digest } from '../../core/digest.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { bytesOf, collectBytes } from '../../core/streams.ts';
import type { BlobStore, ByteRange } from '../blob-store.ts';

/** Larger ones are read anew each time: few are, and they would push out many small ones. */
const CACHED_BLOB_BYTES_MAX = 256 * 1024;

/** What {@link SmallBlobCachingBlobStore} depends on. */
export interface SmallBlobCachingBlobStoreDependencies {
  readonly inner: BlobStore;
  /** Memory for cached blobs, those least recently read going first. */
  readonly cachedBytesMax: number;
}

/**
 * Keeps small blobs it has read in memory. For reading Directory messages: the actions of a build share most of theirs.
 * A blob in memory may be gone from the store behind it; who must know asks `findMissing`, which is never answered
 * from memory. Every reader gets bytes of its own.
 */
export class SmallBlobCachingBlobStore implements BlobStore {
  readonly #inner: BlobStore;
  readonly #cachedBytesMax: number;
  /** Least recently read first. */
  readonly #cached = new Map<string, Uint8Array>();
  #cachedBytes = 0;

  constructor({ inner, cachedBytesMax }: SmallBlobCachingBlobStoreDependencies) {
    this.#inner = inner;
    this.#cachedBytesMax = cachedBytesMax;
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
    const cached = this.#cached.get(digest.key);
    if (cached !== undefined) {
      this.#cached.delete(digest.key);
      this.#cached.set(digest.key, cached);
      return bytesOf(Uint8Array.from(cached));
    }
    const source = await this.#inner.read(digest, undefined, options);
    if (source === undefined) return undefined;
    const bytes = await collectBytes(source, { bytesMax: digest.sizeBytes, what: `blob ${digest}` });
    this.#keep(digest.key, bytes);
    return bytesOf(Uint8Array.from(bytes));
  }

  write(digest: Digest, source: AsyncIterable<Uint8Array>, options?: IoOptions): Promise<void> {
    return this.#inner.write(digest, source, options);
  }

  #keep(key: string, bytes: Uint8Array): void {
    if (this.#cached.has(key)) return;
    this.#cached.set(key, bytes);
    this.#cachedBytes += bytes.byteLength;
    for (const [oldestKey, oldest] of this.#cached) {
      if (this.#cachedBytes <= this.#cachedBytesMax) return;
      this.#cached.delete(oldestKey);
      this.#cachedBytes -= oldest.byteLength;
    }
  }
}
