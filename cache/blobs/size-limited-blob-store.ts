import type { Digest } from '../../core/digest.ts';
import { invalidArgument } from '../../core/error.ts';
import type {
  BlobOptions,
  BlobStore,
  ByteRange,
  ReadOutcome,
  WholeBlob,
  WriteAllOptions,
  WriteOutcome,
} from '../blob-store.ts';
import { readAll } from './read-all.ts';
import { writeAll, writeEach } from './write-all.ts';

/** What a {@link SizeLimitedBlobStore} depends on. */
export interface SizeLimitedBlobStoreDependencies {
  readonly inner: BlobStore;
  /** Largest blob that is taken; announced as max_cas_blob_size_bytes. */
  readonly blobBytesMax: number;
}

/** Refuses blobs that say they are too large, with INVALID_ARGUMENT as REAPI asks, before a byte is read. */
export class SizeLimitedBlobStore implements BlobStore {
  readonly #inner: BlobStore;
  readonly #blobBytesMax: number;

  constructor({ inner, blobBytesMax }: SizeLimitedBlobStoreDependencies) {
    this.#inner = inner;
    this.#blobBytesMax = blobBytesMax;
  }

  findMissing(digests: readonly Digest[], options?: BlobOptions): Promise<Digest[]> {
    return this.#inner.findMissing(digests, options);
  }

  read(
    digest: Digest,
    range?: ByteRange,
    options?: BlobOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#inner.read(digest, range, options);
  }

  readAll(digests: readonly Digest[], options?: BlobOptions): Promise<readonly ReadOutcome[]> {
    return readAll(this.#inner, digests, options);
  }

  write(digest: Digest, source: AsyncIterable<Uint8Array>, options?: BlobOptions): Promise<void> {
    if (digest.sizeBytes <= this.#blobBytesMax) return this.#inner.write(digest, source, options);
    return Promise.reject(
      invalidArgument(`Write ${digest}: at most ${this.#blobBytesMax} bytes are accepted in one blob`),
    );
  }

  writeAll(blobs: readonly WholeBlob[], options?: WriteAllOptions): Promise<readonly WriteOutcome[]> {
    const fit = blobs.every(({ digest }) => digest.sizeBytes <= this.#blobBytesMax);
    return fit ? writeAll(this.#inner, blobs, options) : writeEach(this, blobs, options);
  }
}
