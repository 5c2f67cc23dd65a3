import type { Digest } from '../../core/digest.ts';
import { invalidArgument } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { bytesOf } from '../../core/streams.ts';
import type { BlobStore, ByteRange } from '../blob-store.ts';
import { spanOf } from './byte-range.ts';

/** Answers for the empty blob, which REAPI says is always present, so that the store behind never meets it. */
export class EmptyBlobStore implements BlobStore {
  readonly #inner: BlobStore;

  constructor(inner: BlobStore) {
    this.#inner = inner;
  }

  async findMissing(digests: readonly Digest[], options?: IoOptions): Promise<Digest[]> {
    const others = digests.filter((digest) => !digest.isEmpty);
    return others.length === 0 ? [] : this.#inner.findMissing(others, options);
  }

  async read(
    digest: Digest,
    range?: ByteRange,
    options?: IoOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    if (!digest.isEmpty) return this.#inner.read(digest, range, options);
    spanOf(digest, range);
    return bytesOf();
  }

  async write(digest: Digest, source: AsyncIterable<Uint8Array>, options?: IoOptions): Promise<void> {
    if (!digest.isEmpty) return this.#inner.write(digest, source, options);
    for await (const chunk of source) {
      if (chunk.byteLength > 0) throw invalidArgument(`Write ${digest}: more than 0 bytes arrived`);
    }
  }
}
