import { randomUUID } from 'node:crypto';
import { throwIfAborted } from '../../core/abort.ts';
import { abortableSource } from '../../core/abortable-source.ts';
import { mapConcurrent, Semaphore } from '../../core/concurrency.ts';
import { Digest } from '../../core/digest.ts';
import { internal, invalidArgument, isIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { formatReadName, formatWriteName } from '../../core/resource-name.ts';
import { ByteStreamDefinition } from '../../core/rpc/byte-stream-definition.ts';
import type { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { defaultRetryPolicy, type RetryPolicy } from '../../core/rpc/rpc-retry-policy.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import { bytesOf, WholeBytes } from '../../core/streams.ts';
import {
  Compressor_Value,
  RequestMetadata,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobOptions, BlobStore, ByteRange } from '../blob-store.ts';
import { type ByteSpan, spanOf } from '../blobs/byte-range.ts';
import { verifiedBytes } from '../blobs/verified-bytes.ts';
import { ChunkedBytes } from '../chunking/chunked-bytes.ts';
import { distinctDigests } from '../disk/distinct-digests.ts';
import { CasDefinition } from '../grpc/wire/cas-definition.ts';
import { GrpcBlobBatches } from './grpc-blob-batches.ts';
import { hashingTimeoutMs } from './hashing-timeout.ts';
import { namedAmong } from './named-among.ts';
import { downloadResumably } from './resumable-download.ts';
import { uploadResumably } from './resumable-upload.ts';
import { startedStream } from './started-stream.ts';

/** Blobs up to this size travel in batches, larger ones in a stream each. */
const SMALL_BLOB_BYTES_MAX = 256 * 1024;
/** Blobs up to this size that are in memory anyway are written in batches too: with one more they fill a message. */
const WHOLE_BLOB_BYTES_MAX = 2 * 1024 * 1024;
/** Digests of one FindMissingBlobs: well inside a message of 4 MiB. */
const FIND_MISSING_DIGESTS = 10_000;
/** FindMissingBlobs calls at once for one long list. */
const FIND_MISSING_AT_ONCE = 4;
/** Blobs in a stream at once, each way. A reader that opens more without reading waits for itself. */
const STREAMS_AT_ONCE = 64;

/** What a {@link GrpcBlobStore} depends on. */
export interface GrpcBlobStoreDependencies {
  readonly channel: Pick<RpcChannel, 'client'>;
  readonly instanceName: string;
  /** For streams; unary calls follow the channel's. */
  readonly retry?: RetryPolicy;
  /** Names of uploads; default: random UUIDs. */
  readonly newUuid?: () => string;
  /** Numbers from 0 to 1, to spread retries. */
  readonly random?: () => number;
}

/**
 * A blob store on the other side of a REAPI connection. Small reads and writes that come close together share a
 * call; large ones are resumed when the server was away for a while (see uploadResumably). Every downloaded blob is
 * verified; ranges are not, beyond their length.
 */
export class GrpcBlobStore implements BlobStore {
  readonly #cas: ServiceClient<CasDefinition>;
  readonly #byteStream: ServiceClient<ByteStreamDefinition>;
  readonly #batches: GrpcBlobBatches;
  readonly #instanceName: string;
  readonly #retry: RetryPolicy;
  readonly #newUuid: () => string;
  readonly #random: () => number;
  readonly #reads = new Semaphore(STREAMS_AT_ONCE);
  readonly #writes = new Semaphore(STREAMS_AT_ONCE);

  constructor({ channel, instanceName, retry, newUuid, random }: GrpcBlobStoreDependencies) {
    this.#cas = channel.client(CasDefinition);
    this.#byteStream = channel.client(ByteStreamDefinition);
    this.#batches = new GrpcBlobBatches({ cas: this.#cas, instanceName });
    this.#instanceName = instanceName;
    this.#retry = retry ?? defaultRetryPolicy;
    this.#newUuid = newUuid ?? randomUUID;
    this.#random = random ?? Math.random;
  }

  async findMissing(
    digests: readonly Digest[],
    { signal, invocationId }: BlobOptions = {},
  ): Promise<Digest[]> {
    throwIfAborted(signal);
    // One that asks for nothing says that its build is live.
    const slices: Digest[][] = digests.length === 0 && invocationId !== undefined ? [[]] : [];
    for (const ofFunction of Map.groupBy(digests, ({ digestFunction }) => digestFunction).values()) {
      for (let start = 0; start < ofFunction.length; start += FIND_MISSING_DIGESTS) {
        slices.push(ofFunction.slice(start, start + FIND_MISSING_DIGESTS));
      }
    }
    const missing = await mapConcurrent(
      slices,
      FIND_MISSING_AT_ONCE,
      (slice, sliceSignal) => this.#findMissing(slice, { signal: sliceSignal, invocationId }),
      { signal },
    );
    return distinctDigests(missing.flat());
  }

  async read(
    digest: Digest,
    range?: ByteRange,
    { signal }: IoOptions = {},
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const span = spanOf(digest, range);
    throwIfAborted(signal);
    if (digest.sizeBytes <= SMALL_BLOB_BYTES_MAX) {
      const bytes = await this.#batches.read(digest, { signal });
      return bytes === undefined ? undefined : bytesOf(bytes.subarray(span.start, span.end));
    }
    if (span.start === span.end) {
      // ByteStream takes a limit of 0 for no limit.
      return (await this.findMissing([digest], { signal })).length > 0 ? undefined : bytesOf();
    }
    try {
      const download = this.#download(digest, span, { signal });
      return await startedStream(span.whole ? verifiedBytes(digest, download) : download);
    } catch (error) {
      if (isIngotError(error, Code.NOT_FOUND)) return undefined;
      throw error;
    }
  }

  async write(digest: Digest, source: AsyncIterable<Uint8Array>, { signal }: IoOptions = {}): Promise<void> {
    throwIfAborted(signal);
    if (source instanceof ChunkedBytes && digest.sizeBytes > SMALL_BLOB_BYTES_MAX) {
      await this.#splice(digest, source, { signal });
      return;
    }
    const batchedBytesMax = source instanceof WholeBytes ? WHOLE_BLOB_BYTES_MAX : SMALL_BLOB_BYTES_MAX;
    if (digest.sizeBytes <= batchedBytesMax) {
      const bytes = await collectBlob(
        digest,
        signal === undefined ? source : abortableSource(source, signal),
      );
      await this.#batches.write({ digest, bytes }, { signal });
      return;
    }
    using _permit = await this.#writes.acquire({ signal });
    const resourceName = formatWriteName({
      instanceName: this.#instanceName,
      uuid: this.#newUuid(),
      digest,
      compressor: Compressor_Value.IDENTITY,
    });
    const committedBytes = await uploadResumably(source, {
      byteStream: this.#byteStream,
      resourceName,
      retry: this.#retry,
      random: this.#random,
      signal,
    });
    if (committedBytes !== digest.sizeBytes) {
      throw internal(`Write ${digest}: the server says it has ${committedBytes} bytes`);
    }
  }

  async #splice(
    digest: Digest,
    { list: { chunks, chunkingFunction } }: ChunkedBytes,
    { signal }: IoOptions,
  ): Promise<void> {
    const { digestFunction } = digest;
    const request = {
      instanceName: this.#instanceName,
      blobDigest: digest.toMessage(),
      chunkDigests: chunks.map((chunk) => chunk.toMessage()),
      digestFunction,
      chunkingFunction,
    };
    try {
      const { blobDigest } = await this.#cas.spliceBlob(request, {
        signal,
        timeoutMs: hashingTimeoutMs(digest),
      });
      const seen = Digest.fromMessage(blobDigest, digestFunction);
      if (!seen.equals(digest)) throw internal(`Write ${digest}: the server says it made ${seen}`);
    } catch (error) {
      // It is there in chunks which the server likes better.
      if (!isIngotError(error, Code.ALREADY_EXISTS)) throw error;
    }
  }

  async *#download(
    digest: Digest,
    { start, end }: ByteSpan,
    { signal }: IoOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    using _permit = await this.#reads.acquire({ signal });
    const resourceName = formatReadName({
      instanceName: this.#instanceName,
      digest,
      compressor: Compressor_Value.IDENTITY,
    });
    yield* downloadResumably({
      byteStream: this.#byteStream,
      resourceName,
      start,
      end,
      retry: this.#retry,
      random: this.#random,
      signal,
    });
  }

  async #findMissing(digests: readonly Digest[], { signal, invocationId }: BlobOptions): Promise<Digest[]> {
    const request = {
      instanceName: this.#instanceName,
      blobDigests: [...digests],
      digestFunction: digests[0]?.digestFunction ?? 0,
    };
    const { missingBlobDigests } = await this.#cas.findMissingBlobs(request, {
      signal,
      requestMetadata:
        invocationId === undefined ? undefined : RequestMetadata.create({ toolInvocationId: invocationId }),
    });
    return namedAmong(digests, missingBlobDigests);
  }
}

/** The whole of a small blob; more than its digest says is refused as the server would. */
async function collectBlob(digest: Digest, source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > digest.sizeBytes) {
      throw invalidArgument(`Write ${digest}: more than ${digest.sizeBytes} bytes arrived`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, sizeBytes);
}
