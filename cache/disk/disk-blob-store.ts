import { mkdir, statfs } from 'node:fs/promises';
import { throwIfOver } from '../../core/abort.ts';
import { Digest } from '../../core/digest.ts';
import { unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import { type FailPoints, noFailPoints } from '../../core/fail-point.ts';
import { fileError } from '../../core/file-error.ts';
import type { Logger } from '../../core/log/logger.ts';
import type {
  BlobOptions,
  ByteRange,
  ReadOutcome,
  WholeBlob,
  WriteAllOptions,
  WriteOutcome,
} from '../blob-store.ts';
import { blobFileFailPoints } from '../blobs/blob-files.ts';
import type { IngestOptions } from '../blobs/blob-ingest.ts';
import type { BlobHash } from '../blobs/blob-lookup.ts';
import { spanOf } from '../blobs/byte-range.ts';
import { readEach } from '../blobs/read-all.ts';
import { IN_FILE } from './blob-index.ts';
import { BlobUses } from './blob-uses.ts';
import { DiskParts } from './disk-parts.ts';
import { DiskRoom } from './disk-room.ts';
import type { DiskStoreStats } from './disk-store-stats.ts';
import { DiskUploads } from './disk-uploads.ts';
import { distinctDigests } from './distinct-digests.ts';
import { Evictor } from './evictor.ts';
import { InstanceBlobStore } from './instance-blob-store.ts';
import { Refresher } from './refresher.ts';
import { Scrubber } from './scrubber.ts';
import { segmentFailPoints } from './segment-log.ts';
import { type CheckOptions, checkFilesOf, checkSegment } from './stored-blob-checks.ts';

/** A segment is sealed at this share of the limit, so that dropping one is a small part of all, */
const SEGMENT_SHARE = 1 / 32;
/** but within these bounds: small ones cost a file each, a large one is read whole when its sidecar is lost. */
const SEGMENT_BYTES_MIN = 1024 * 1024;
const SEGMENT_BYTES_MAX = 64 * 1024 * 1024;
/** Without a limit set: this share of what the file system has free or we have in use. */
const DEFAULT_SHARE = 0.8;
/** See docs/decisions/0006-segments.md; a role may be told another. */
const SMALL_BLOB_BYTES_MAX = 64 * 1024;
/** Eviction goes on to this share of the limit, so that it is not begun anew for each write. */
const LOW_WATER = 0.9;
/** What clients of a cache that closes are told to wait: another process may take its place. */
const CLOSED_RETRY_MS = 1_000;

/** Where a process can be made to die while it stores a blob. */
export const diskBlobStoreFailPoints = [...segmentFailPoints, ...blobFileFailPoints] as const;

/** What a {@link DiskBlobStore} depends on. */
export interface DiskBlobStoreDependencies {
  /** Of the cache; made when absent. No other process may use it: hold a FolderLock. */
  readonly folder: string;
  readonly logger: Logger;
  readonly failPoints?: FailPoints;
  /** Most bytes that are kept; undefined is 80 % of what the file system has free for them at start. */
  readonly limitBytes?: number | undefined;
  /** Bytes of others on the disk that count in the limit. */
  readonly besideBytes?: (() => number) | undefined;
  /** Bytes re-read each second to find damaged ones; 0 is none. */
  readonly scrubBytesPerSecond?: number;
  /** Blobs up to this size are records in segments, larger ones files of their own. */
  readonly smallBlobBytesMax?: number;
  /** Between two looks at everything. */
  readonly scrubPauseMs?: number;
  /** How long a build holds what it used, after its last call. */
  readonly invocationTtlMs: number;
  /** Length at which a segment is sealed; by default 1/32 of the limit, from 1 to 64 MiB. */
  readonly segmentBytes?: number;
  /** Memory for copies of the small blobs written or read last. */
  readonly recentBlobBytes: number;
  /** Leave files that a start finds to be damaged where they are, for who only looks. */
  readonly keepDamaged?: boolean;
}

/** What is known of the dependencies once the disk was looked at. */
interface SettledDependencies {
  readonly limitBytes: number;
  readonly failPoints: FailPoints;
}

/**
 * The blobs of all instances on one disk: small ones as records in append-only segments, large ones as files, one
 * index over both. Each blob is stored once and seen by the instances it was uploaded to. A write is durable when it
 * resolves; wrong bytes are never given out. Wrap what `forInstance` gives in EmptyBlobStore.
 */
export class DiskBlobStore implements AsyncDisposable {
  readonly #parts: DiskParts;
  readonly #uploads: DiskUploads;
  readonly #evictor: Evictor;
  readonly #refresher: Refresher;
  readonly #scrubber: Scrubber | undefined;
  readonly #failPoints: FailPoints;
  readonly #views = new Map<string, InstanceBlobStore>();
  /** Most bytes that are kept. */
  readonly limitBytes: number;
  #closed = false;

  private constructor(parts: DiskParts, settled: DiskBlobStoreDependencies & SettledDependencies) {
    const { folder, limitBytes, failPoints, logger, scrubBytesPerSecond = 0, scrubPauseMs } = settled;
    this.limitBytes = limitBytes;
    this.#parts = parts;
    this.#failPoints = failPoints;
    const storedBytes = () => parts.storedBytes;
    this.#evictor = new Evictor({ parts, logger });
    this.#refresher = new Refresher({ ...parts, limitBytes, storedBytes, logger });
    if (scrubBytesPerSecond > 0) {
      const pause = scrubPauseMs === undefined ? {} : { pauseMs: scrubPauseMs };
      this.#scrubber = new Scrubber({ folder, parts, logger, bytesPerSecond: scrubBytesPerSecond, ...pause });
    }
    const evictTo = (bytes: number) => this.#evictor.evictTo(bytes);
    const lowWaterBytes = Math.floor(limitBytes * LOW_WATER);
    const { besideBytes, smallBlobBytesMax = SMALL_BLOB_BYTES_MAX } = settled;
    const room = new DiskRoom({ limitBytes, lowWaterBytes, storedBytes, besideBytes, evictTo });
    this.#uploads = new DiskUploads({ parts, room, smallBlobBytesMax });
  }

  /** Opens the store, its index built from what is on the disk. */
  static async open(dependencies: DiskBlobStoreDependencies): Promise<DiskBlobStore> {
    const { folder, logger, limitBytes: setBytes, failPoints = noFailPoints } = dependencies;
    try {
      await mkdir(folder, { recursive: true });
      const { bavail, blocks, bsize } = await statfs(folder);
      const share = (setBytes ?? blocks * bsize) * SEGMENT_SHARE;
      const segmentBytes = Math.floor(Math.min(Math.max(share, SEGMENT_BYTES_MIN), SEGMENT_BYTES_MAX));
      const parts = await DiskParts.open({ segmentBytes, ...dependencies, failPoints });
      const { storedBytes } = parts;
      const limitBytes = setBytes ?? Math.floor((bavail * bsize + storedBytes) * DEFAULT_SHARE);
      logger.info({ limitBytes, storedBytes, blobs: parts.index.size }, 'the blob store is open');
      return new DiskBlobStore(parts, { ...dependencies, limitBytes, failPoints });
    } catch (error) {
      throw fileError(error, `Open blob store ${folder}`);
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

  /** Those of all instances. */
  get instanceNames(): readonly string[] {
    return this.#parts.instances.names;
  }

  /** What it holds, and what became of blobs since start. */
  get stats(): DiskStoreStats {
    const { files, index, leases, segments, storedBytes } = this.#parts;
    return {
      blobs: index.size,
      storedBytes,
      limitBytes: this.limitBytes,
      segments: segments.log.segments.size,
      liveInvocations: leases.size,
      corruptBlobs: files.quarantine.count + segments.log.damagedRecords,
      evictedBlobs: this.#evictor.evicted.blobs,
      evictedBytes: this.#evictor.evicted.bytes,
      refreshedBlobs: this.#refresher.refreshed,
      scrubbedBytes: this.#scrubber?.scrubbedBytes ?? 0,
      scrubRounds: this.#scrubber?.rounds ?? 0,
    };
  }

  /** Those of the digests that are absent in the instance, each once; undefined is an instance that has nothing. */
  findMissing(instance: number | undefined, digests: readonly Digest[], options: BlobOptions = {}): Digest[] {
    this.#checkOpen();
    throwIfOver(options);
    const uses = this.#usesBy(options);
    const missing: Digest[] = [];
    for (const digest of digests) {
      const id = instance === undefined ? -1 : this.#parts.visible(instance, digest);
      if (id < 0) missing.push(digest);
      else uses.note(id, digest);
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
    throwIfOver(options);
    const span = spanOf(digest, range);
    const id = instance === undefined ? -1 : this.#parts.visible(instance, digest);
    if (id < 0) return undefined;
    const { index, segments, files, fileBlobs } = this.#parts;
    this.#usesBy(options).note(id, digest);
    if (index.segmentOf(id) !== IN_FILE) return segments.read(id, digest, span);
    const source = await files.read(digest, range, options);
    // Somebody deleted it.
    if (source === undefined && (await files.sizeOf(digest)) === undefined) fileBlobs.forget(digest);
    return source;
  }

  /** As BlobStore's `readAll`, for the instance: what is in memory without a promise for each. */
  async readAll(
    instance: number | undefined,
    digests: readonly Digest[],
    options: BlobOptions = {},
  ): Promise<readonly ReadOutcome[]> {
    this.#checkOpen();
    throwIfOver(options);
    const { index, segments } = this.#parts;
    const uses = this.#usesBy(options);
    const outcomes: ReadOutcome[] = [];
    const others: number[] = [];
    for (const [at, digest] of digests.entries()) {
      const id = instance === undefined ? -1 : this.#parts.visible(instance, digest);
      const isInSegment = id >= 0 && index.segmentOf(id) !== IN_FILE;
      const recent = isInSegment ? segments.recent(id, 0, digest.sizeBytes) : undefined;
      outcomes.push(recent);
      if (recent !== undefined) uses.note(id, digest);
      else if (id >= 0) others.push(at);
    }
    const store = { read: (digest: Digest) => this.read(instance, digest, undefined, options) };
    const rest = await readEach(
      store,
      others.map((at) => digests[at] as Digest),
    );
    for (const [index, at] of others.entries()) outcomes[at] = rest[index];
    return outcomes;
  }

  /** As BlobStore's `write`, for the instance. */
  async write(
    instance: number,
    digest: Digest,
    source: AsyncIterable<Uint8Array>,
    options: BlobOptions = {},
  ): Promise<void> {
    this.#checkOpen();
    throwIfOver(options);
    const id = this.#parts.visible(instance, digest);
    if (id >= 0) {
      this.#usesBy(options).note(id, digest);
      return;
    }
    await this.#uploads.write({ instance, digest, source }, options);
    this.#hold(instance, digest, options);
    this.#failPoints.pass('cas.before_reply');
  }

  /** As BlobStore's `writeAll`, for the instance. */
  async writeAll(
    instance: number,
    blobs: readonly WholeBlob[],
    options: WriteAllOptions = {},
  ): Promise<readonly WriteOutcome[]> {
    this.#checkOpen();
    throwIfOver(options);
    const uses = this.#usesBy(options);
    const isAbsent = blobs.map(({ digest }) => {
      const id = this.#parts.visible(instance, digest);
      if (id >= 0) uses.note(id, digest);
      return id < 0;
    });
    const absent = blobs.filter((_, at) => isAbsent[at]);
    const outcomes = (await this.#uploads.writeAll(instance, absent, options)).values();
    for (const { digest } of absent) {
      this.#hold(instance, digest, options);
      this.#failPoints.pass('cas.before_reply');
    }
    return isAbsent.map((wasAbsent) => (wasAbsent ? outcomes.next().value : undefined));
  }

  /** As BlobIngest's `ingest`, for the instance. */
  async ingest(instance: number, source: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<Digest> {
    this.#checkOpen();
    const digest = await this.#uploads.ingest(instance, source, options);
    this.#failPoints.pass('cas.before_reply');
    return digest;
  }

  /** Reads and hashes every blob there is; damaged ones are taken out, or kept where they are. */
  async checkAll(options: CheckOptions): Promise<void> {
    const { segments, files } = this.#parts;
    for (const segment of [...segments.log.segments.values()])
      await checkSegment(this.#parts, segment, options);
    for (const folder of await files.layout.fanOutFolders()) await checkFilesOf(this.#parts, folder, options);
  }

  /** Refuses what comes from now on, waits for what is under way, and closes the files. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#scrubber?.close();
    await this.#refresher.close();
    await this.#parts.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Keeps what a live build has written, if it is there. */
  #hold(instance: number, digest: Digest, { invocationId }: BlobOptions): void {
    const lease = this.#parts.leases.of(invocationId);
    if (lease === undefined) return;
    const stored = this.#parts.visible(instance, digest);
    if (stored >= 0) lease.add(stored);
  }

  #usesBy({ invocationId }: BlobOptions): BlobUses {
    return new BlobUses(this.#parts, this.#refresher, invocationId);
  }

  #checkOpen(): void {
    if (!this.#closed) return;
    throw unavailable('the blob store is closed', { details: [retryInfo(CLOSED_RETRY_MS)] });
  }
}
