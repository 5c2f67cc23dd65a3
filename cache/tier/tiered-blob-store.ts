import { throwIfAborted } from '../../core/abort.ts';
import type { Digest } from '../../core/digest.ts';
import type { BlobOptions, BlobStore, ByteRange } from '../blob-store.ts';
import { spanOf } from '../blobs/byte-range.ts';
import type { BlobFlights } from './blob-flights.ts';
import type { BlobTier } from './blob-tier.ts';
import type { UploadQueue } from './upload-queue.ts';

/** What a {@link TieredBlobStore} depends on. */
export interface TieredBlobStoreDependencies {
  /** The local store. */
  readonly inner: BlobStore;
  readonly instanceName: string;
  readonly tier: BlobTier;
  readonly flights: BlobFlights;
  readonly uploads: UploadQueue;
  /** A write waits this long for the object store; undefined means not at all, its place in the queue will do. */
  readonly uploadWaitMs?: number | undefined;
}

/**
 * The local store with an object store behind it, for one instance. What is not here is looked for there; what is read
 * there is kept here. A write is answered when the blob is durable here and its upload recorded; it waits when the queue
 * is full. Thin: all state is in what it depends on.
 */
export class TieredBlobStore implements BlobStore {
  readonly #dependencies: TieredBlobStoreDependencies;

  constructor(dependencies: TieredBlobStoreDependencies) {
    this.#dependencies = dependencies;
  }

  async findMissing(digests: readonly Digest[], options: BlobOptions = {}): Promise<Digest[]> {
    const { inner, instanceName, tier } = this.#dependencies;
    const missing = await inner.findMissing(digests, options);
    return missing.length === 0 ? missing : await tier.findMissing(instanceName, missing, options);
  }

  async read(
    digest: Digest,
    range?: ByteRange,
    options: BlobOptions = {},
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const { inner, instanceName, flights } = this.#dependencies;
    const local = await inner.read(digest, range, options);
    if (local !== undefined) return local;
    throwIfAborted(options.signal);
    return await flights.read({ instanceName, local: inner }, digest, spanOf(digest, range), options);
  }

  async write(digest: Digest, source: AsyncIterable<Uint8Array>, options: BlobOptions = {}): Promise<void> {
    const { inner, instanceName, tier, uploads, uploadWaitMs } = this.#dependencies;
    throwIfAborted(options.signal);
    const upload = { kind: 'blob', instanceName, digest } as const;
    if (tier.isRemembered(instanceName, digest)) return await inner.write(digest, source, options);
    if (uploads.has(upload)) {
      await inner.write(digest, source, options);
    } else {
      // Before the bytes are taken: a client that has to wait has not sent them yet.
      using _room = await uploads.reserve(digest.sizeBytes, options);
      await inner.write(digest, source, options);
      await uploads.add(upload, digest.sizeBytes);
    }
    if (uploadWaitMs !== undefined) await uploads.uploaded(upload, uploadWaitMs, options);
  }
}
