import { Digest } from '../../core/digest.ts';
import { dataLoss, IngotError, internal } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import {
  Compressor_Value,
  type ContentAddressableStorageDefinition,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { Status } from '../../proto/gen/google/rpc/status.ts';
import { BATCH_TOTAL_BYTES_MAX } from '../grpc/cache-limits.ts';
import { BatchQueue } from './batch-queue.ts';

/** Items of a batch; their digests and statuses fit beside the bytes. */
const ITEMS_MAX = 1000;
/** Calls of one kind at once: enough to keep the connection busy, few enough that batches fill. */
const BATCHES_AT_ONCE = 4;

/** A small blob to be written. */
export interface SmallBlob {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** What {@link GrpcBlobBatches} depends on. */
export interface GrpcBlobBatchesDependencies {
  readonly cas: ServiceClient<ContentAddressableStorageDefinition>;
  readonly instanceName: string;
}

/** Reads and writes of small blobs, gathered into BatchReadBlobs and BatchUpdateBlobs. */
export class GrpcBlobBatches {
  readonly #dependencies: GrpcBlobBatchesDependencies;
  readonly #reads: BatchQueue<Digest, Buffer | IngotError | undefined>;
  readonly #writes: BatchQueue<SmallBlob, IngotError | undefined>;

  constructor(dependencies: GrpcBlobBatchesDependencies) {
    this.#dependencies = dependencies;
    const limits = {
      weightMax: BATCH_TOTAL_BYTES_MAX,
      itemsMax: ITEMS_MAX,
      batchesMax: BATCHES_AT_ONCE,
    };
    this.#reads = new BatchQueue({
      ...limits,
      run: (digests) => this.#read(digests),
      weightOf: ({ sizeBytes }) => sizeBytes,
    });
    this.#writes = new BatchQueue({
      ...limits,
      run: (blobs) => this.#write(blobs),
      weightOf: ({ bytes }) => bytes.byteLength,
    });
  }

  /** The verified bytes, or undefined when the blob is absent. */
  async read(digest: Digest, options: IoOptions): Promise<Buffer | undefined> {
    const outcome = await this.#reads.submit(digest, options);
    if (outcome instanceof IngotError) throw outcome;
    return outcome;
  }

  async write(blob: SmallBlob, options: IoOptions): Promise<void> {
    const error = await this.#writes.submit(blob, options);
    if (error !== undefined) throw error;
  }

  async #read(digests: readonly Digest[]): Promise<(Buffer | IngotError | undefined)[]> {
    const distinct = [...new Map(digests.map((digest) => [digest.key, digest])).values()];
    const { responses } = await this.#dependencies.cas.batchReadBlobs({
      instanceName: this.#dependencies.instanceName,
      digests: distinct.map((digest) => digest.toMessage()),
      acceptableCompressors: [],
      digestFunction: distinct[0]?.digestFunction ?? 0,
    });
    const byName = new Map(responses.map((response) => [nameOf(response.digest), response]));
    return digests.map((digest) => {
      const response = byName.get(digest.toString());
      const error = errorOf(response?.status, `Read ${digest}`, response !== undefined);
      if (error?.code === Code.NOT_FOUND) return undefined;
      if (error !== undefined || response === undefined) return error;
      const seen = Digest.ofBytes(response.data, digest.digestFunction);
      return seen.key === digest.key
        ? Buffer.from(response.data)
        : dataLoss(`Read ${digest}: the server sent ${seen}`);
    });
  }

  async #write(blobs: readonly SmallBlob[]): Promise<(IngotError | undefined)[]> {
    const { responses } = await this.#dependencies.cas.batchUpdateBlobs({
      instanceName: this.#dependencies.instanceName,
      requests: blobs.map(({ digest, bytes }) => ({
        digest: digest.toMessage(),
        data: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
        compressor: Compressor_Value.IDENTITY,
      })),
      digestFunction: blobs[0]?.digest.digestFunction ?? 0,
    });
    return blobs.map(({ digest }, index) => {
      const response = responses[index];
      const isIts = nameOf(response?.digest) === digest.toString();
      return errorOf(response?.status, `Write ${digest}`, isIts);
    });
  }
}

function nameOf(message: { readonly hash: string; readonly sizeBytes: number } | undefined): string {
  return message === undefined ? '' : `${message.hash}/${message.sizeBytes}`;
}

function errorOf(status: Status | undefined, attempt: string, answered: boolean): IngotError | undefined {
  if (!answered) return internal(`${attempt}: the server's answer leaves it out`);
  if (status === undefined || status.code === Code.OK) return undefined;
  return new IngotError(status.code as Code, status.message, { details: status.details });
}
