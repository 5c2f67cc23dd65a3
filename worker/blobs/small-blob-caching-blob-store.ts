import type { BlobStore, ByteRange } from '../../cache/blob-store.ts';
import type { Digest } from '../../core/digest.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { bytesOf, collectBytes } from '../../core/streams.ts';

/** Largest blob kept: a directory of a thousand files. */
const BLOB_BYTES_MAX = 128 * 1024;
/** What all of them may take: the directories of a large source tree. */
const BYTES_MAX = 32 * 1024 * 1024;

/**
 * Keeps the small blobs read last in memory. The actions of a build share most of their directories, and each names
 * all of its own. Only whole, verified blobs are kept; a blob the store has lost since is still read from here.
 */
export class SmallBlobCachingBlobStore implements BlobStore {
  readonly #inner: BlobStore;
  /** Bytes by digest key; the ones read longest ago come first. */
  readonly #blobs = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(inner: BlobStore) {
    this.#inner = inner;
  }

  findMissing(digests: readonly Digest[], options?: IoOptions): Promise<Digest[]> {
    return this.#inner.findMissing(digests, options);
  }

  async read(
    digest: Digest,
    range?: ByteRange,
    options?: IoOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    if (range !== undefined || digest.sizeBytes > BLOB_BYTES_MAX) {
      return await this.#inner.read(digest, range, options);
    }
    const known = this.#blobs.get(digest.key);
    if (known !== undefined) {
      this.#forget(digest.key);
      this.#keep(digest.key, known);
      return bytesOf(Uint8Array.from(known));
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
    this.#forget(key);
    this.#blobs.set(key, bytes);
    this.#bytes += bytes.byteLength;
    for (const oldest of this.#blobs.keys()) {
      if (this.#bytes <= BYTES_MAX) return;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    this.#bytes -= this.#blobs.get(key)?.byteLength ?? 0;
    this.#blobs.delete(key);
  }
}
