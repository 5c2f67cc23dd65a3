import type { Digest } from '../../core/digest.ts';
import { unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { FailPoints } from '../../core/fail-point.ts';
import type { Logger } from '../../core/log/logger.ts';
import { BlobFiles } from '../blobs/blob-files.ts';
import { BlobIndex } from './blob-index.ts';
import { FileBlobs } from './file-blobs.ts';
import { indexWordsOf } from './index-words.ts';
import { InstanceTable } from './instance-table.ts';
import { InvocationLeases } from './invocation-leases.ts';
import { SegmentBlobs } from './segment-blobs.ts';

/** Where blobs are moved in from a store that had no segments: it had no instances either. */
const DEFAULT_INSTANCE = 0;
/** How long a client is asked to wait before it sends a blob again that was evicted as it came: as good as not at all. */
const GONE_RETRY_MS = 100;

/** What {@link DiskParts} depend on. */
export interface DiskPartsDependencies {
  readonly folder: string;
  readonly logger: Logger;
  readonly failPoints: FailPoints;
  readonly segmentBytes: number;
  readonly recentBlobBytes: number;
  /** How long a build holds what it used, after its last call. */
  readonly invocationTtlMs: number;
  /** Leave files that are found to be damaged where they are, for who only looks. */
  readonly keepDamaged?: boolean;
}

/** What a disk blob store is made of, and the questions that concern all of it. */
export class DiskParts implements AsyncDisposable {
  readonly index: BlobIndex;
  readonly files: BlobFiles;
  readonly fileBlobs: FileBlobs;
  readonly segments: SegmentBlobs;
  readonly instances: InstanceTable;
  readonly leases: InvocationLeases;

  private constructor(
    parts: Pick<DiskParts, 'index' | 'files' | 'fileBlobs' | 'segments' | 'instances' | 'leases'>,
  ) {
    this.leases = parts.leases;
    this.index = parts.index;
    this.files = parts.files;
    this.fileBlobs = parts.fileBlobs;
    this.segments = parts.segments;
    this.instances = parts.instances;
  }

  /** Opens everything, and builds the index: from the names of files first, then from the segments. */
  static async open(dependencies: DiskPartsDependencies): Promise<DiskParts> {
    const { folder, logger, failPoints } = dependencies;
    const leases = new InvocationLeases({ ttlMs: dependencies.invocationTtlMs });
    const index = new BlobIndex((id) => leases.forget(id));
    const files = await BlobFiles.open({
      folder,
      logger,
      failPoints,
      onExpelled: (digest) => fileBlobs.forget(digest),
    });
    const fileBlobs = new FileBlobs({ files, index, logger });
    const found = await fileBlobs.enterAll();
    const segments = await SegmentBlobs.open({
      ...dependencies,
      index,
      quarantine: files.quarantine,
      onMisfit: (digest) => fileBlobs.noteMisfit(digest),
    });
    if (!dependencies.keepDamaged) await fileBlobs.expelMisfits();
    const instances = await InstanceTable.open({ folder, logger, numberMax: segments.instanceMax });
    if (segments.isNew && found.length > 0) {
      await Promise.all(found.map((digest) => segments.link(digest, DEFAULT_INSTANCE)));
      logger.info(
        { blobs: found.length },
        'blobs of an earlier version were taken over by the default instance',
      );
    }
    return new DiskParts({ index, files, fileBlobs, segments, instances, leases });
  }

  /** Bytes of segments and files. */
  get storedBytes(): number {
    return this.segments.sizeBytes + this.index.fileBytes;
  }

  /** The blob's id when it is durable and in the instance, else -1. */
  visible(instance: number, digest: Digest): number {
    const id = this.index.find(indexWordsOf(digest), digest.digestFunction, digest.sizeBytes);
    return id >= 0 && this.index.instances.has(id, instance) ? id : -1;
  }

  /** The size of the instance's blob with this hash. */
  sizeOf(instance: number | undefined, digest: Digest): number | undefined {
    const id = this.index.findHash(indexWordsOf(digest), digest.digestFunction);
    const isVisible = id >= 0 && instance !== undefined && this.index.instances.has(id, instance);
    return isVisible ? this.index.sizeOf(id) : undefined;
  }

  /** Whether its bytes are here, in whatever instance, and durable. */
  isStored(digest: Digest): boolean {
    const id = this.index.find(indexWordsOf(digest), digest.digestFunction, digest.sizeBytes);
    return id >= 0 && !this.index.isPending(id);
  }

  /** Makes a stored blob visible in an instance whose client has shown that it has the bytes. */
  async grant(instance: number, digest: Digest): Promise<void> {
    await this.segments.settled(digest);
    if (this.visible(instance, digest) >= 0) return;
    await this.segments.link(digest, instance);
    if (this.visible(instance, digest) >= 0) return;
    throw unavailable(`Write ${digest}: it went while it was stored, send it again`, {
      details: [retryInfo(GONE_RETRY_MS)],
    });
  }

  /** Waits for what is under way and closes the files. */
  async close(): Promise<void> {
    await this.segments.close();
    await this.files.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
