import { Semaphore } from '../../core/concurrency.ts';
import type { Digest } from '../../core/digest.ts';
import { isIngotError, unavailable } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { ChunkingFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobOptions, BlobStore, ByteRange } from '../blob-store.ts';
import { isRestartable } from '../remote/restartable-source.ts';
import { ChunkTotals } from './chunk-totals.ts';
import { ChunkedBytes } from './chunked-bytes.ts';
import { announcedFastCdcParams, type FastCdcParams } from './fast-cdc-params.ts';
import { storeChunks } from './store-chunks.ts';

/** Below it a blob goes whole, whatever a server would cut: its calls would cost more than they save. */
const CUT_BLOB_BYTES_MIN = announcedFastCdcParams.maxBytes;
/** Blobs cut at once: each may hold some 24 MiB, and keeps a core busy. */
const WRITES_AT_ONCE = 4;
/** How often a blob's chunks are sent when the store forgets some of them before it has all. */
const ATTEMPTS_MAX = 3;

/** What a {@link ChunkingBlobStore} depends on. */
export interface ChunkingBlobStoreDependencies {
  /** Takes {@link ChunkedBytes}. */
  readonly inner: BlobStore;
  /** How to cut; undefined when the store behind knows nothing of chunks. */
  readonly params: (options?: IoOptions) => Promise<FastCdcParams | undefined>;
  /** Counts what is sent, and what need not be. */
  readonly totals?: ChunkTotals;
}

/**
 * Writes large blobs as chunks: only those the store behind lacks are sent, then it is told how they make up the blob.
 * So the next version of a large file costs its difference. For clients; the rest goes to the store behind as it is.
 */
export class ChunkingBlobStore implements BlobStore {
  readonly #inner: BlobStore;
  readonly #params: ChunkingBlobStoreDependencies['params'];
  readonly #totals: ChunkTotals;
  readonly #writes = new Semaphore(WRITES_AT_ONCE);

  constructor({ inner, params, totals }: ChunkingBlobStoreDependencies) {
    this.#inner = inner;
    this.#params = params;
    this.#totals = totals ?? new ChunkTotals();
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

  async write(digest: Digest, source: AsyncIterable<Uint8Array>, options: BlobOptions = {}): Promise<void> {
    const isLarge = digest.sizeBytes >= CUT_BLOB_BYTES_MIN && !(source instanceof ChunkedBytes);
    const params = isLarge ? await this.#params(options) : undefined;
    if (params === undefined || digest.sizeBytes < params.maxBytes) {
      await this.#inner.write(digest, source, options);
      return;
    }
    using _permit = await this.#writes.acquire(options);
    for (let attempt = 1; ; attempt += 1) {
      const chunks = await storeChunks(digest, source, {
        store: this.#inner,
        params,
        options,
        totals: this.#totals,
      });
      const list = { chunks, chunkingFunction: ChunkingFunction_Value.FAST_CDC_2020 };
      try {
        await this.#inner.write(digest, new ChunkedBytes(list, this.#inner, options), options);
        return;
      } catch (error) {
        if (!isIngotError(error, Code.NOT_FOUND)) throw error;
        if (attempt === ATTEMPTS_MAX || !isRestartable(source)) {
          // Whoever can begin anew may do so.
          throw unavailable(`Write ${digest}: its chunks do not stay (${error.message})`, { cause: error });
        }
      }
    }
  }
}
