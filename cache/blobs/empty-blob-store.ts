import type { Digest } from '../../core/digest.ts';
import { invalidArgument } from '../../core/error.ts';
import { bytesOf } from '../../core/streams.ts';
import type {
  BlobOptions,
  BlobStore,
  ByteRange,
  ReadOutcome,
  WholeBlob,
  WriteAllOptions,
  WriteOutcome,
} from '../blob-store.ts';
import { spanOf } from './byte-range.ts';
import { readAll, readEach } from './read-all.ts';
import { writeAll, writeEach } from './write-all.ts';

/** Answers for the empty blob, which REAPI says is always present, so that the store behind never meets it. */
export class EmptyBlobStore implements BlobStore {
  readonly #inner: BlobStore;

  constructor(inner: BlobStore) {
    this.#inner = inner;
  }

  // Every blob passes here, so a call for one that is not empty is handed on as it is, without a promise of its own.

  findMissing(digests: readonly Digest[], options?: BlobOptions): Promise<Digest[]> {
    if (!digests.some((digest) => digest.isEmpty)) return this.#inner.findMissing(digests, options);
    const others = digests.filter((digest) => !digest.isEmpty);
    return others.length === 0 ? Promise.resolve([]) : this.#inner.findMissing(others, options);
  }

  read(
    digest: Digest,
    range?: ByteRange,
    options?: BlobOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    return digest.isEmpty ? readEmpty(digest, range) : this.#inner.read(digest, range, options);
  }

  readAll(digests: readonly Digest[], options?: BlobOptions): Promise<readonly ReadOutcome[]> {
    return digests.some((digest) => digest.isEmpty)
      ? readEach(this, digests, options)
      : readAll(this.#inner, digests, options);
  }

  write(digest: Digest, source: AsyncIterable<Uint8Array>, options?: BlobOptions): Promise<void> {
    return digest.isEmpty ? writeEmpty(digest, source) : this.#inner.write(digest, source, options);
  }

  writeAll(blobs: readonly WholeBlob[], options?: WriteAllOptions): Promise<readonly WriteOutcome[]> {
    return blobs.some(({ digest }) => digest.isEmpty)
      ? writeEach(this, blobs, options)
      : writeAll(this.#inner, blobs, options);
  }
}

async function readEmpty(digest: Digest, range?: ByteRange): Promise<AsyncIterable<Uint8Array>> {
  spanOf(digest, range);
  return bytesOf();
}

async function writeEmpty(digest: Digest, source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of source) {
    if (chunk.byteLength > 0) throw invalidArgument(`Write ${digest}: more than 0 bytes arrived`);
  }
}
