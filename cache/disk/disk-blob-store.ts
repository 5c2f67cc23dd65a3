import { throwIfAborted } from '../../core/abort.ts';
import { Digest } from '../../core/digest.ts';
import { unavailable } from '../../core/error.ts';
import { type FailPoints, noFailPoints } from '../../core/fail-point.ts';
import { fileError } from '../../core/file-error.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { BlobOptions, ByteRange } from '../blob-store.ts';
import { blobFileFailPoints } from '../blobs/blob-files.ts';
import type { IngestOptions } from '../blobs/blob-ingest.ts';
import type { BlobHash } from '../blobs/blob-lookup.ts';
import { spanOf } from '../blobs/byte-range.ts';
import { IN_FILE } from './blob-index.ts';
import { DiskParts } from './disk-parts.ts';
import { DiskUploads } from './disk-uploads.ts';
import { distinctDigests } from './distinct-digests.ts';
import { InstanceBlobStore } from './instance-blob-store.ts';
import { nowSeconds } from './now-seconds.ts';
import { segmentFailPoints } from './segment-log.ts';

/** A segment of this length is sealed. */
const SEGMENT_BYTES = 64 * 1024 * 1024;

/** Where a process can be made to die while it stores a blob. */
export const diskBlobStoreFailPoints = [...segmentFailPoints, ...blobFileFailPoints] as const;

/** What a {@link DiskBlobStore} depends on. */
export interface DiskBlobStoreDependencies {
  /** Of the cache; made when absent. No other process may use it: hold a FolderLock. */
  readonly folder: string;
  readonly logger: Logger;
  readonly failPoints?: FailPoints;
  /** Length at which a segment is sealed. */
  readonly segmentBytes?: number;
  /** Memory for copies of the small blobs written or read last. */
  readonly recentBlobBytes: number;
}

/**
 * The blobs of all instances on one disk: small ones as records in append-only segments, large ones as files, one
 * index over both. Each blob is stored once and seen by the instances it was uploaded to. A write is durable when it
 * resolves; wrong bytes are never given out. Wrap what `forInstance` gives in EmptyBlobStore.
 */
export class DiskBlobStore implements AsyncDisposable {
  readonly #parts: DiskParts;
  readonly #uploads: DiskUploads;
  readonly #failPoints: FailPoints;
  readonly #views = new Map<string, InstanceBlobStore>();
  #closed = false;

  private constructor(parts: DiskParts, failPoints: FailPoints) {
    this.#parts = parts;
    this.#uploads = new DiskUploads(parts);
    this.#failPoints = failPoints;
  }

  /** Opens the store, its index built from what is on the disk. */
  static async open(dependencies: DiskBlobStoreDependencies): Promise<DiskBlobStore> {
    const { failPoints = noFailPoints, segmentBytes = SEGMENT_BYTES, ...rest } = dependencies;
    try {
      return new DiskBlobStore(await DiskParts.open({ ...rest, failPoints, segmentBytes }), failPoints);
    } catch (error) {
      throw fileError(error, `Open blob store ${rest.folder}`);
    }
  }

  /** The store as one instance sees it. */
  forInstance(instanceName: string): InstanceBlobStore {
    const known = this.#views.get(instanceName);
    if (known !== undefined) return known;
    const { instances } = this.#parts;
    const view = new InstanceBlobStore(this, instances, instanceName);
    // Who makes up names must not fill the memory: only those that something is stored under are remembered.
    if (instances.numberOf(instanceName) !== undefined) this.#views.set(instanceName, view);
    return view;
  }

  /** Damaged blobs met since start. */
  get corruptBlobs(): number {
    return this.#parts.files.quarantine.count;
  }

  /** Blobs in the store. */
  get blobs(): number {
    return this.#parts.index.size;
  }

  /** Bytes of segments and files. */
  get storedBytes(): number {
    return this.#parts.segments.sizeBytes + this.#parts.index.fileBytes;
  }

  /** Those of the digests that are absent in the instance, each once; undefined is an instance that has nothing. */
  findMissing(instance: number | undefined, digests: readonly Digest[], options: BlobOptions = {}): Digest[] {
    this.#checkOpen();
    throwIfAborted(options.signal);
    const missing: Digest[] = [];
    const seconds = nowSeconds();
    for (const digest of digests) {
      const id = instance === undefined ? -1 : this.#parts.visible(instance, digest);
      if (id < 0) missing.push(digest);
      else this.#parts.index.use(id, seconds);
    }
    return distinctDigests(missing);
  }

  /** The whole digest of a blob in the instance. */
  find(instance: number | undefined, { hash, digestFunction }: BlobHash): Digest | undefined {
    this.#checkOpen();
    // The index does not ask for the size here, and 1 is possible for any hash but that of nothing.
    const sizeBytes = this.#parts.sizeOf(instance, Digest.of(hash, 1, digestFunction));
    return sizeBytes === undefined ? undefined : Digest.of(hash, sizeBytes, digestFunction);
  }

  /** As BlobStore's `read`, for the instance. */
  async read(
    instance: number | undefined,
    digest: Digest,
    range?: ByteRange,
    options: BlobOptions = {},
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    this.#checkOpen();
    throwIfAborted(options.signal);
    const span = spanOf(digest, range);
    const id = instance === undefined ? -1 : this.#parts.visible(instance, digest);
    if (id < 0) return undefined;
    const { index, segments, files, fileBlobs } = this.#parts;
    index.use(id, nowSeconds());
    if (index.segmentOf(id) !== IN_FILE) return segments.read(id, digest, span);
    const source = await files.read(digest, range, options);
    // Somebody deleted it.
    if (source === undefined && (await files.sizeOf(digest)) === undefined) fileBlobs.forget(digest);
    return source;
  }

  /** As BlobStore's `write`, for the instance. */
  async write(
    instance: number,
    digest: Digest,
    source: AsyncIterable<Uint8Array>,
    options: BlobOptions = {},
  ): Promise<void> {
    this.#checkOpen();
    throwIfAborted(options.signal);
    const id = this.#parts.visible(instance, digest);
    if (id >= 0) {
      this.#parts.index.use(id, nowSeconds());
      return;
    }
    await this.#uploads.write({ instance, digest, source }, options);
    this.#failPoints.pass('cas.before_reply');
  }

  /** As BlobIngest's `ingest`, for the instance. */
  async ingest(instance: number, source: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<Digest> {
    this.#checkOpen();
    const digest = await this.#uploads.ingest(instance, source, options);
    this.#failPoints.pass('cas.before_reply');
    return digest;
  }

  /** Refuses what comes from now on, waits for what is under way, and closes the files. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#parts.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw unavailable('the blob store is closed');
  }
}
