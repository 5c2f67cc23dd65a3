import { Digest } from '../../core/digest.ts';
import { internal } from '../../core/error.ts';
import type { FailPoints } from '../../core/fail-point.ts';
import { fileError } from '../../core/file-error.ts';
import type { Logger } from '../../core/log/logger.ts';
import { messageMemory } from '../../core/message-memory.ts';
import { WholeBytes } from '../../core/streams.ts';
import type { ByteSpan } from '../blobs/byte-range.ts';
import type { Quarantine } from '../blobs/quarantine.ts';
import { type BlobIndex, type BlobPlace, EntryFlag } from './blob-index.ts';
import { indexWordsOf } from './index-words.ts';
import { nowSeconds } from './now-seconds.ts';
import { RecentRing } from './recent-ring.ts';
import { claimEntry, RecordReplay } from './record-replay.ts';
import type { SegmentAppend } from './segment-append.ts';
import { SegmentLog } from './segment-log.ts';
import { dropFields, RECORD_HEADER_BYTES, RecordKind } from './segment-record.ts';

/** Larger ones would push too many others out of the ring. */
const RING_BLOB_BYTES_MAX = 64 * 1024;
/** Read on the spot: from the page cache 64 KiB take 15 µs, a trip through the thread pool as much again. */
const READ_NOW_BYTES_MAX = 64 * 1024;

/** What {@link SegmentBlobs} depend on. */
export interface SegmentBlobsDependencies {
  readonly folder: string;
  readonly logger: Logger;
  readonly failPoints: FailPoints;
  readonly segmentBytes: number;
  /** Memory for copies of small blobs written or read last. */
  readonly recentBlobBytes: number;
  readonly index: BlobIndex;
  readonly quarantine: Quarantine;
  /** Told at start of a blob that is known by another length than its file has. */
  readonly onMisfit: (digest: Digest) => void;
}

/**
 * The blobs that are records in segments. A blob is in the index from the moment it is submitted, but pending, so
 * that nobody is told of it before it is durable, and others who write it wait for the same commit.
 */
export class SegmentBlobs implements AsyncDisposable {
  readonly #index: BlobIndex;
  readonly #logger: Logger;
  readonly #quarantine: Quarantine;
  readonly #ring: RecentRing;
  readonly #pending = new Map<number, Promise<void>>();
  readonly #log: SegmentLog;
  /** The highest number of an instance in the records that were there at start. */
  readonly instanceMax: number;
  /** There were no segments at start. */
  readonly isNew: boolean;

  private constructor(
    { index, logger, quarantine, recentBlobBytes }: SegmentBlobsDependencies,
    log: SegmentLog,
    instanceMax: number,
  ) {
    this.#index = index;
    this.#logger = logger;
    this.#quarantine = quarantine;
    this.#ring = new RecentRing(recentBlobBytes);
    this.#log = log;
    this.instanceMax = instanceMax;
    this.isNew = log.segments.size === 0;
  }

  /** Opens the segments and enters what they hold into the index, in which the files must be already. */
  static async open(dependencies: SegmentBlobsDependencies): Promise<SegmentBlobs> {
    let blobs: SegmentBlobs | undefined;
    const replay = new RecordReplay(dependencies);
    const log = await SegmentLog.open(dependencies, {
      replay: (record, segment) => replay.enter(record, segment),
      appended: (append, segment, offset) => {
        if (blobs !== undefined) blobs.#appended(append, segment, offset);
      },
      failed: (append) => {
        if (blobs !== undefined) blobs.#failed(append);
      },
    });
    blobs = new SegmentBlobs(dependencies, log, replay.instanceMax);
    return blobs;
  }

  /** Bytes of all segments. */
  get sizeBytes(): number {
    return this.#log.sizeBytes;
  }

  /** Stores bytes that are known to be the digest's; resolves when they are durable and in the instance. */
  write(digest: Digest, bytes: Uint8Array, instance: number): Promise<void> {
    const words = indexWordsOf(digest);
    const known = this.#index.find(words, digest.digestFunction, digest.sizeBytes);
    if (known >= 0) return this.#writeKnown(known, { digest, bytes, instance });
    const seconds = nowSeconds();
    const id = claimEntry(this.#index, digest, { words, seconds });
    const { sizeBytes } = digest;
    if (sizeBytes <= RING_BLOB_BYTES_MAX) this.#index.setRing(id, this.#ring.put(bytes));
    const done = this.#log.append({ kind: RecordKind.blob, digest, id, instance, seconds, payload: bytes });
    this.#pending.set(id, done);
    return done;
  }

  /** Makes a blob that is here visible in one more instance; the caller has seen all its bytes. */
  link(digest: Digest, instance: number): Promise<void> {
    return this.#log.append({ kind: RecordKind.link, digest, id: -1, instance, seconds: nowSeconds() });
  }

  /** The bytes, checked unless they were in this process's memory since; undefined when they turn out to be damaged. */
  read(id: number, digest: Digest, { start, end }: ByteSpan): Promise<AsyncIterable<Uint8Array> | undefined> {
    const recent = this.recent(id, start, end);
    if (recent !== undefined) return Promise.resolve(reused(recent));
    return this.#readChecked(id, digest, { start, end });
  }

  /** A copy of the bytes between two positions, when they are in this process's memory since they were checked. */
  recent(id: number, start: number, end: number): Buffer | undefined {
    return this.#ring.get(this.#index.ringOf(id), start, end);
  }

  /** Hashes a blob where it is; false when it is damaged, and then it is taken out unless it is to be kept. */
  async check(
    digest: Digest,
    place: BlobPlace,
    { keep = false }: { readonly keep?: boolean },
  ): Promise<boolean> {
    const segment = this.#log.segments.get(place.segment);
    if (segment === undefined) return true;
    const bytes = await segment.read(place.offset + RECORD_HEADER_BYTES, digest.sizeBytes);
    const seen = Digest.ofBytes(bytes, digest.digestFunction);
    if (!seen.equals(digest) && !keep) await this.#expel(digest, place, { bytes, seen });
    return seen.equals(digest);
  }

  /** Waits until the blob, if it is on its way into a segment, is durable or gone. */
  async settled(digest: Digest): Promise<void> {
    const id = this.#index.find(indexWordsOf(digest), digest.digestFunction, digest.sizeBytes);
    await this.#pending.get(id);
  }

  /** The segments themselves, for eviction and checks. */
  get log(): SegmentLog {
    return this.#log;
  }

  /**
   * Appends a blob anew, with all its instances, so that it outlives the segment it is in; false when its bytes turn
   * out to be damaged, and it is taken out.
   */
  async carry(id: number, digest: Digest, place: BlobPlace): Promise<boolean> {
    const segment = this.#log.segments.get(place.segment);
    if (segment === undefined || !this.#index.isAt(id, place)) return false;
    const bytes = await segment.read(place.offset + RECORD_HEADER_BYTES, digest.sizeBytes);
    const seen = Digest.ofBytes(bytes, digest.digestFunction);
    if (!seen.equals(digest)) {
      await this.#expel(digest, place, { bytes, seen });
      return false;
    }
    if (!this.#index.isAt(id, place)) return false;
    const seconds = this.#index.lastUseOf(id);
    const [instance = 0, ...others] = this.#index.instances.of(id);
    const blob = { kind: RecordKind.blob, digest, id, instance, seconds, payload: bytes, from: place };
    // First the bytes: a link to a blob that is not known yet means nothing at a start.
    const carried = this.#log.append(blob);
    await Promise.all([carried, ...others.map((other) => this.link(digest, other))]);
    return true;
  }

  /** Waits for what is under way and closes the files. */
  async close(): Promise<void> {
    await this.#log.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #writeKnown(
    id: number,
    blob: { readonly digest: Digest; readonly bytes: Uint8Array; readonly instance: number },
  ): Promise<void> {
    const { digest, bytes, instance } = blob;
    const pending = this.#pending.get(id);
    if (pending !== undefined) {
      await pending;
      return this.write(digest, bytes, instance);
    }
    if (this.#index.instances.has(id, instance)) return;
    await this.link(digest, instance);
    const now = this.#index.find(indexWordsOf(digest), digest.digestFunction, digest.sizeBytes);
    // It may have gone while the link was written.
    if (now < 0 || !this.#index.instances.has(now, instance)) await this.write(digest, bytes, instance);
  }

  async #readChecked(
    id: number,
    digest: Digest,
    { start, end }: Pick<ByteSpan, 'start' | 'end'>,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const place: BlobPlace = { segment: this.#index.segmentOf(id), offset: this.#index.offsetOf(id) };
    const segment = this.#log.segments.get(place.segment);
    if (segment === undefined) throw internal(`Read ${digest}: segment ${place.segment} is not open`);
    const at = place.offset + RECORD_HEADER_BYTES;
    let bytes: Buffer;
    try {
      bytes =
        digest.sizeBytes <= READ_NOW_BYTES_MAX
          ? segment.readNow(at, digest.sizeBytes)
          : await segment.read(at, digest.sizeBytes);
    } catch (error) {
      throw fileError(error, `Read ${digest}`);
    }
    const seen = Digest.ofBytes(bytes, digest.digestFunction);
    if (!seen.equals(digest)) {
      await this.#expel(digest, place, { bytes, seen });
      return undefined;
    }
    if (digest.sizeBytes <= RING_BLOB_BYTES_MAX && this.#index.isAt(id, place)) {
      this.#index.setRing(id, this.#ring.put(bytes));
    }
    return reused(bytes.subarray(start, end));
  }

  /** Takes a damaged blob out, for good: the next upload of it is stored anew. */
  async #expel(
    digest: Digest,
    place: BlobPlace,
    { bytes, seen }: { readonly bytes: Uint8Array; readonly seen: Digest },
  ): Promise<void> {
    const id = this.#index.find(indexWordsOf(digest), digest.digestFunction, digest.sizeBytes);
    // Another reader took it out, or it was moved before the segment went.
    if (id < 0 || !this.#index.isAt(id, place)) return;
    this.#index.remove(id);
    await this.#quarantine.keep(bytes, {
      hash: digest.hash,
      expectedBytes: digest.sizeBytes,
      seen: seen.toString(),
    });
    try {
      await this.#log.append({ kind: RecordKind.drop, digest, id: -1, ...dropFields(place) });
    } catch (error) {
      this.#logger.error(
        { error, hash: digest.hash },
        'a damaged blob could not be struck off; it is until a restart',
      );
    }
  }

  #appended(append: SegmentAppend, segment: number, offset: number): void {
    const { kind, digest, id, instance, from } = append;
    if (kind === RecordKind.drop) return;
    if (from !== undefined) {
      this.#index.setFlag(id, EntryFlag.refreshing, false);
      // It may have been evicted meanwhile, and the id be another's: no two blobs were ever in one place.
      if (this.#index.has(id) && this.#index.isAt(id, from)) this.#index.place(id, segment, offset);
      return;
    }
    if (kind === RecordKind.blob) {
      this.#index.place(id, segment, offset);
      this.#index.instances.add(id, instance);
      this.#pending.delete(id);
      return;
    }
    const linked = this.#index.find(indexWordsOf(digest), digest.digestFunction, digest.sizeBytes);
    if (linked >= 0 && !this.#index.isPending(linked)) this.#index.instances.add(linked, instance);
  }

  #failed({ kind, id, from }: SegmentAppend): void {
    if (from !== undefined) this.#index.setFlag(id, EntryFlag.refreshing, false);
    if (kind !== RecordKind.blob || from !== undefined) return;
    this.#index.remove(id);
    this.#pending.delete(id);
  }
}

/** Bytes in message memory, for one reader. */
function reused(bytes: Buffer): WholeBytes {
  return new WholeBytes(bytes, { onDone: () => messageMemory.giveBack(bytes) });
}
