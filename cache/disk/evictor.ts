import type { Logger } from '../../core/log/logger.ts';
import { IN_FILE } from './blob-index.ts';
import type { DiskParts } from './disk-parts.ts';
import { indexWordsOf } from './index-words.ts';
import { type OldFile, oldFiles } from './old-files.ts';
import type { Segment } from './segment.ts';
import { digestOf, type RecordFields, RecordKind } from './segment-record.ts';

/** A segment of which more is held than this is left: carrying that much over gains little. */
const HELD_SHARE_MAX = 0.5;

/** What an {@link Evictor} depends on. */
export interface EvictorDependencies {
  readonly parts: DiskParts;
  readonly logger: Logger;
}

/**
 * Deletes what was used longest ago: segments, oldest first, and files by their last use, whichever is older. What
 * a live build holds stays: a file is passed over, a record is carried over into the newest segment before its own
 * goes. Deleting writes nothing, so it works on a full disk; what cannot be carried over then stays where it is.
 */
export class Evictor {
  readonly #parts: DiskParts;
  readonly #logger: Logger;
  #running: Promise<void> | undefined;
  /** The least that anyone wants of the run under way. */
  #targetBytes = 0;
  /** Blobs and bytes evicted since start. */
  readonly evicted = { blobs: 0, bytes: 0 };

  constructor({ parts, logger }: EvictorDependencies) {
    this.#parts = parts;
    this.#logger = logger;
  }

  /** Evicts until no more than so many bytes are stored, or nothing more can go. Who comes meanwhile waits along. */
  async evictTo(targetBytes: number): Promise<void> {
    this.#targetBytes = Math.min(targetBytes, this.#running === undefined ? targetBytes : this.#targetBytes);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  async #run(): Promise<void> {
    // Whoever asks for more in this turn is heard before anything is found to be enough.
    await undefined;
    const before = { ...this.evicted };
    const held = new Set<number>();
    const { index, leases } = this.#parts;
    const isFree = (id: number) => !leases.isHeld(id);
    let files: OldFile[] | undefined;
    let fileTaken = false;
    while (this.#parts.storedBytes > this.#targetBytes) {
      if (files === undefined || (files.length === 0 && fileTaken)) {
        files = await oldFiles(index, isFree);
        fileTaken = false;
      }
      const segment = this.#parts.segments.log.oldestSealed(held);
      const [file] = files;
      if (segment === undefined && file === undefined) break;
      if (segment !== undefined && (file === undefined || segment.usedSeconds <= file.usedSeconds)) {
        if (!(await this.#evictSegment(segment))) held.add(segment.number);
      } else if (file !== undefined) {
        files.shift();
        fileTaken = true;
        await this.#evictFile(file, isFree);
      }
    }
    const blobs = this.evicted.blobs - before.blobs;
    const bytes = this.evicted.bytes - before.bytes;
    if (blobs > 0)
      this.#logger.info({ blobs, bytes, storedBytes: this.#parts.storedBytes }, 'old blobs were evicted');
  }

  async #evictFile({ id, usedSeconds }: OldFile, isFree: (id: number) => boolean): Promise<void> {
    const { index, fileBlobs } = this.#parts;
    const isTheSame = index.has(id) && index.segmentOf(id) === IN_FILE && index.lastUseOf(id) === usedSeconds;
    if (!isTheSame || index.isPending(id) || !isFree(id)) return;
    this.#count(index.sizeOf(id));
    await fileBlobs.evict(id);
  }

  /** False when too much of it is held, or what is held cannot be carried over. */
  async #evictSegment(segment: Segment): Promise<boolean> {
    const { index, leases, segments } = this.#parts;
    const records = await segments.log.recordsOf(segment);
    const lives = (record: RecordFields) => {
      const id = this.#idOf(record);
      return id >= 0 && index.isAt(id, { segment: segment.number, offset: record.offset }) ? id : -1;
    };
    const blobs = records.filter((record) => record.kind === RecordKind.blob && lives(record) >= 0);
    const heldBlobs = blobs.filter((record) => leases.isHeld(lives(record)));
    const heldBytes = heldBlobs.reduce((sum, { payloadBytes }) => sum + payloadBytes, 0);
    if (heldBytes > segment.lengthBytes * HELD_SHARE_MAX) return false;
    try {
      await this.#carryLinks(segment, records);
      for (const record of heldBlobs) {
        const place = { segment: segment.number, offset: record.offset };
        await segments.carry(lives(record), digestOf(record), place);
      }
    } catch (error) {
      this.#logger.warn({ error, segment: segment.number }, 'what is held could not be carried over');
      if (heldBlobs.length > 0) return false;
    }
    // A build may have come to hold one since.
    if (blobs.some((record) => lives(record) >= 0 && leases.isHeld(lives(record)))) return false;
    for (const record of blobs) {
      const id = lives(record);
      if (id < 0) continue;
      this.#count(index.sizeOf(id));
      index.remove(id);
    }
    await segments.log.drop(segment);
    return true;
  }

  /**
   * Files whose links are in the segment keep their instances. Of the records here links go with them, and those of
   * later segments have theirs there.
   */
  async #carryLinks(segment: Segment, records: readonly RecordFields[]): Promise<void> {
    const { index, segments } = this.#parts;
    const links: Promise<void>[] = [];
    for (const record of records) {
      if (record.kind !== RecordKind.link) continue;
      const id = this.#idOf(record);
      if (id < 0 || !index.instances.has(id, record.instance)) continue;
      const place = index.segmentOf(id);
      const isHere = place === segment.number;
      if (place !== IN_FILE && (isHere || place > segment.number)) continue;
      links.push(segments.link(digestOf(record), record.instance));
    }
    await Promise.all(links);
  }

  #idOf({ digest }: RecordFields): number {
    return this.#parts.index.find(indexWordsOf(digest), digest.digestFunction, digest.sizeBytes);
  }

  #count(bytes: number): void {
    this.evicted.blobs += 1;
    this.evicted.bytes += bytes;
  }
}
