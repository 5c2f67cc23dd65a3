import { Semaphore } from '../../core/concurrency.ts';
import { type Digest, DigestHasher } from '../../core/digest.ts';
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
import { type ByteSpan, spanOf } from '../blobs/byte-range.ts';
import { readAll, readEach } from '../blobs/read-all.ts';
import { writeAll, writeEach } from '../blobs/write-all.ts';
import type { ChunkList } from './chunk-list.ts';
import type { ChunkLists } from './chunk-lists.ts';
import { type ChunkListCheck, readChunks } from './chunk-read.ts';
import { type ChunkSpan, chunkSpans } from './chunk-spans.ts';
import { ChunkedBytes } from './chunked-bytes.ts';
import { announcedFastCdcParams } from './fast-cdc-params.ts';
import { findMissingChunked } from './find-missing-chunked.ts';
import { missingChunks } from './missing-chunks.ts';

/** Smaller blobs have no list: REAPI cuts none that is smaller than the largest chunk. So the many small ones cost nothing. */
export const CHUNKED_BLOB_BYTES_MIN = announcedFastCdcParams.maxBytes;
/** Blobs put together and hashed at once; each keeps a core busy. */
const SPLICES_AT_ONCE = 4;

/** What a {@link ChunkedBlobStore} depends on. */
export interface ChunkedBlobStoreDependencies {
  /** Holds the chunks, and the blobs that are there as a whole. */
  readonly inner: BlobStore;
  readonly lists: ChunkLists;
}

/**
 * Lets a blob be there as its chunks: where a list is known, it is present while all its chunks are, and is read from
 * them. Using it uses the chunks, so eviction keeps them together. A write of {@link ChunkedBytes} stores no bytes:
 * it files the list, once the bytes were hashed.
 */
export class ChunkedBlobStore implements BlobStore {
  readonly #inner: BlobStore;
  readonly #lists: ChunkLists;
  /** Lists whose chunks were hashed together since they were read from disk, by the blob they were found to be. */
  readonly #verified = new WeakMap<ChunkList, Digest>();
  readonly #splices = new Semaphore(SPLICES_AT_ONCE);

  constructor({ inner, lists }: ChunkedBlobStoreDependencies) {
    this.#inner = inner;
    this.#lists = lists;
  }

  findMissing(digests: readonly Digest[], options?: BlobOptions): Promise<Digest[]> {
    return digests.some((digest) => this.#isListed(digest))
      ? findMissingChunked(digests, { inner: this.#inner, lists: this.#lists, options })
      : this.#inner.findMissing(digests, options);
  }

  read(
    digest: Digest,
    range?: ByteRange,
    options?: BlobOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#isListed(digest)
      ? this.#readListedOrWhole(digest, range, options)
      : this.#inner.read(digest, range, options);
  }

  readAll(digests: readonly Digest[], options?: BlobOptions): Promise<readonly ReadOutcome[]> {
    return digests.some((digest) => this.#isListed(digest))
      ? readEach(this, digests, options)
      : readAll(this.#inner, digests, options);
  }

  write(digest: Digest, source: AsyncIterable<Uint8Array>, options?: BlobOptions): Promise<void> {
    return digest.sizeBytes < CHUNKED_BLOB_BYTES_MIN
      ? this.#inner.write(digest, source, options)
      : this.#writeLarge(digest, source, options);
  }

  writeAll(blobs: readonly WholeBlob[], options?: WriteAllOptions): Promise<readonly WriteOutcome[]> {
    return blobs.every(({ digest }) => digest.sizeBytes < CHUNKED_BLOB_BYTES_MIN)
      ? writeAll(this.#inner, blobs, options)
      : writeEach(this, blobs, options);
  }

  async #readListedOrWhole(
    digest: Digest,
    range: ByteRange | undefined,
    options: BlobOptions | undefined,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const source = await this.#readListed(digest, spanOf(digest, range), options);
    return source ?? (await this.#inner.read(digest, range, options));
  }

  async #writeLarge(
    digest: Digest,
    source: AsyncIterable<Uint8Array>,
    options: BlobOptions = {},
  ): Promise<void> {
    if (this.#isListed(digest) && (await this.findMissing([digest], options)).length === 0) return;
    if (source instanceof ChunkedBytes) {
      await this.#splice(digest, source, options);
    } else {
      await this.#inner.write(digest, source, options);
    }
  }

  #isListed(digest: Digest): boolean {
    return digest.sizeBytes >= CHUNKED_BLOB_BYTES_MIN && this.#lists.has(digest);
  }

  /** Undefined when a chunk is absent: the blob may be there as a whole. */
  async #readListed(
    digest: Digest,
    span: ByteSpan,
    options: BlobOptions | undefined,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const list = await this.#lists.get(digest);
    if (list === undefined) return undefined;
    const spans: ChunkSpan[] = chunkSpans(list.chunks, span);
    const needed = spans.length > 0 ? spans.map(({ chunk }) => chunk) : list.chunks;
    if ((await this.#inner.findMissing(needed, options)).length > 0) return undefined;
    if (spans.length === 0) return bytesOf();
    return readChunks({
      digest,
      spans,
      inner: this.#inner,
      options,
      check:
        span.whole && this.#verified.get(list)?.equals(digest) !== true
          ? this.#checkOf(digest, list)
          : undefined,
    });
  }

  #checkOf(digest: Digest, list: ChunkList): ChunkListCheck {
    return {
      onGood: () => void this.#verified.set(list, digest),
      onBad: () => this.#lists.drop(digest),
    };
  }

  async #splice(digest: Digest, source: ChunkedBytes, options: BlobOptions): Promise<void> {
    const { chunks } = source.list;
    // A chunk that is itself there only as chunks is no chunk for a list; the whole is stored instead.
    if ((await this.#inner.findMissing(chunks, options)).length > 0) {
      return this.#inner.write(digest, source, options);
    }
    using _permit = await this.#splices.acquire(options);
    const seen = await digestOfAll(source, digest);
    if (seen.key !== digest.key) throw invalidArgument(`Write ${digest}: the bytes that arrived are ${seen}`);
    // Hashing takes its time; what went meanwhile must not be promised.
    const missing = await this.#inner.findMissing(chunks, options);
    if (missing.length > 0) throw missingChunks(digest, missing);
    await this.#lists.put(digest, source.list);
    this.#verified.set(source.list, digest);
  }
}

async function digestOfAll(source: AsyncIterable<Uint8Array>, { digestFunction }: Digest): Promise<Digest> {
  const hasher = new DigestHasher(digestFunction);
  for await (const bytes of source) hasher.update(bytes);
  return hasher.digest();
}
