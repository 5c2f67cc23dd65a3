import type { Digest } from '../../core/digest.ts';
import { type IngotError, toIngotError } from '../../core/error.ts';
import { shown, WholeBytes } from '../../core/streams.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
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
import { isSelfStaging } from '../blobs/staged-file.ts';
import { writeAll } from '../blobs/write-all.ts';
import { ChunkedBytes } from '../chunking/chunked-bytes.ts';
import type { CacheCounters } from './cache-counters.ts';

const CLIENTS_FAULT: ReadonlySet<Code> = new Set([
  Code.INVALID_ARGUMENT,
  Code.OUT_OF_RANGE,
  Code.PERMISSION_DENIED,
]);
/** What an upload that breaks off, or meets a closed store, is not. */
const STORES_FAULT: ReadonlySet<Code> = new Set([Code.RESOURCE_EXHAUSTED, Code.INTERNAL, Code.UNKNOWN]);

/** What a {@link MeteredBlobStore} is made of. */
export interface MeteredBlobStoreDependencies {
  readonly inner: BlobStore;
  readonly counters: CacheCounters;
}

/** Counts what is found, read and written. Bytes are counted as they pass, so broken transfers count too. */
export class MeteredBlobStore implements BlobStore {
  readonly #inner: BlobStore;
  readonly #counters: CacheCounters;

  constructor({ inner, counters }: MeteredBlobStoreDependencies) {
    this.#inner = inner;
    this.#counters = counters;
  }

  async findMissing(digests: readonly Digest[], options?: BlobOptions): Promise<Digest[]> {
    const missing = await this.#inner.findMissing(digests, options);
    this.#counters.blobsMissing += missing.length;
    this.#counters.blobsFound += digests.length - missing.length;
    return missing;
  }

  async read(
    digest: Digest,
    range?: ByteRange,
    options?: BlobOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const { reads } = this.#counters;
    let source: AsyncIterable<Uint8Array> | undefined;
    try {
      source = await this.#inner.read(digest, range, options);
    } catch (error) {
      reads.error += 1;
      throw error;
    }
    if (source === undefined) {
      reads.miss += 1;
      return undefined;
    }
    reads.hit += 1;
    if (!(source instanceof WholeBytes)) {
      return shown(source, (chunk) => {
        this.#counters.readBytes += chunk.byteLength;
      });
    }
    this.#counters.readBytes += source.bytes.byteLength;
    return source;
  }

  async readAll(digests: readonly Digest[], options?: BlobOptions): Promise<readonly ReadOutcome[]> {
    const outcomes = await readAll(this.#inner, digests, options);
    const { reads } = this.#counters;
    for (const outcome of outcomes) {
      if (outcome === undefined) reads.miss += 1;
      else if (outcome instanceof Error) reads.error += 1;
      else {
        reads.hit += 1;
        this.#counters.readBytes += outcome.byteLength;
      }
    }
    return outcomes;
  }

  async write(digest: Digest, source: AsyncIterable<Uint8Array>, options?: BlobOptions): Promise<void> {
    try {
      await this.#inner.write(digest, this.#counted(source), options);
      this.#countWrite();
      if (source instanceof WholeBytes) this.#counters.writtenBytes += source.bytes.byteLength;
    } catch (error) {
      this.#countFailedWrite(toIngotError(error));
      throw error;
    }
  }

  async writeAll(blobs: readonly WholeBlob[], options?: WriteAllOptions): Promise<readonly WriteOutcome[]> {
    const outcomes = await writeAll(this.#inner, blobs, options);
    for (const [at, error] of outcomes.entries()) {
      if (error !== undefined) {
        this.#countFailedWrite(error);
        continue;
      }
      this.#countWrite();
      this.#counters.writtenBytes += blobs[at]?.bytes.byteLength ?? 0;
    }
    return outcomes;
  }

  /** The same source, counted unless it is when it is stored; what it is says how it is stored. */
  #counted(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    // Chunks were counted when they came.
    if (source instanceof WholeBytes || source instanceof ChunkedBytes) return source;
    return isSelfStaging(source)
      ? source.through((rest) => this.#countingWrites(rest))
      : this.#countingWrites(source);
  }

  #countWrite(): void {
    this.#counters.writes.ok += 1;
    this.#counters.writeProblem = undefined;
  }

  #countFailedWrite({ code, message }: IngotError): void {
    const counters = this.#counters;
    if (CLIENTS_FAULT.has(code)) counters.writes.refused += 1;
    else counters.writes.error += 1;
    if (STORES_FAULT.has(code)) counters.writeProblem = message;
  }

  #countingWrites(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return shown(source, (chunk) => {
      this.#counters.writtenBytes += chunk.byteLength;
    });
  }
}
