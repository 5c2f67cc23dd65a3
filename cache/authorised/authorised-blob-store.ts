import { requireRight } from '../../core/auth/require-right.ts';
import type { Caller } from '../../core/caller.ts';
import type { Digest } from '../../core/digest.ts';
import { toIngotError } from '../../core/error.ts';
import type {
  BlobOptions,
  BlobStore,
  ByteRange,
  ReadOutcome,
  WholeBlob,
  WriteAllOptions,
  WriteOutcome,
} from '../blob-store.ts';
import { readAll } from '../blobs/read-all.ts';
import { writeAll } from '../blobs/write-all.ts';

/** What an {@link AuthorisedBlobStore} is made of. */
export interface AuthorisedBlobStoreDependencies {
  readonly inner: BlobStore;
  readonly caller: Caller;
}

/** A blob store as one caller may use it: PERMISSION_DENIED for what its rights do not cover. */
export class AuthorisedBlobStore implements BlobStore {
  readonly #inner: BlobStore;
  readonly #caller: Caller;

  constructor({ inner, caller }: AuthorisedBlobStoreDependencies) {
    this.#inner = inner;
    this.#caller = caller;
  }

  async findMissing(digests: readonly Digest[], options?: BlobOptions): Promise<Digest[]> {
    requireRight(this.#caller, ['read', 'write'], 'look for blobs');
    return this.#inner.findMissing(digests, options);
  }

  async read(
    digest: Digest,
    range?: ByteRange,
    options?: BlobOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    requireRight(this.#caller, ['read'], 'read a blob');
    return this.#inner.read(digest, range, options);
  }

  async readAll(digests: readonly Digest[], options?: BlobOptions): Promise<readonly ReadOutcome[]> {
    try {
      requireRight(this.#caller, ['read'], 'read a blob');
    } catch (error) {
      return digests.map(() => toIngotError(error));
    }
    return readAll(this.#inner, digests, options);
  }

  /** No async function: thousands of small writes wait at once, and each such layer is kept for each of them. */
  write(digest: Digest, source: AsyncIterable<Uint8Array>, options?: BlobOptions): Promise<void> {
    try {
      requireRight(this.#caller, ['write'], 'upload a blob');
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#inner.write(digest, source, options);
  }

  async writeAll(blobs: readonly WholeBlob[], options?: WriteAllOptions): Promise<readonly WriteOutcome[]> {
    try {
      requireRight(this.#caller, ['write'], 'upload a blob');
    } catch (error) {
      return blobs.map(() => toIngotError(error));
    }
    return writeAll(this.#inner, blobs, options);
  }
}
