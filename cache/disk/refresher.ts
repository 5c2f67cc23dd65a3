import type { Digest } from '../../core/digest.ts';
import type { Logger } from '../../core/log/logger.ts';
import { type BlobIndex, type BlobPlace, EntryFlag, IN_FILE } from './blob-index.ts';
import type { SegmentBlobs } from './segment-blobs.ts';

/** Segments whose records are appended anew when they are used: the oldest of so many parts, which go next. */
const PARTS = 3;
/** While less of the limit is in use nothing will go soon, and copying would be for nothing. */
const PRESSURE = 0.5;
/** Records waiting; what does not fit is refreshed at its next use. */
const WAITING_MAX = 16_384;
/** Records appended at once, so that they share syncs and take little memory. */
const AT_ONCE = 32;

/** What a {@link Refresher} depends on. */
export interface RefresherDependencies {
  readonly index: BlobIndex;
  readonly segments: SegmentBlobs;
  readonly limitBytes: number;
  readonly storedBytes: () => number;
  readonly logger: Logger;
}

interface Waiting {
  readonly id: number;
  readonly digest: Digest;
  readonly place: BlobPlace;
}

/** Appends used records of old segments anew, in the background, so that dropping the oldest segment costs only what nobody uses. */
export class Refresher implements AsyncDisposable {
  readonly #dependencies: RefresherDependencies;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #boundFor = -1;
  #bound = 0;
  #closed = false;
  /** Records appended anew since start. */
  refreshed = 0;

  constructor(dependencies: RefresherDependencies) {
    this.#dependencies = dependencies;
  }

  /** Says that a record is used. */
  touched(id: number, digest: Digest): void {
    const { index } = this.#dependencies;
    const segment = index.segmentOf(id);
    if (segment === IN_FILE || segment >= this.#oldBound() || this.#closed) return;
    if (index.hasFlag(id, EntryFlag.refreshing) || this.#waiting.length >= WAITING_MAX) return;
    index.setFlag(id, EntryFlag.refreshing, true);
    this.#waiting.push({ id, digest, place: { segment, offset: index.offsetOf(id) } });
    this.#running ??= this.#run();
  }

  /** Ends after the records it is at. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Segments with a lower number are old. */
  #oldBound(): number {
    const { segments, limitBytes, storedBytes } = this.#dependencies;
    const { log } = segments;
    if (this.#boundFor === log.changes) return this.#bound;
    this.#boundFor = log.changes;
    const numbers = [...log.segments.keys()];
    const isTight = storedBytes() > limitBytes * PRESSURE;
    this.#bound = isTight ? (numbers[Math.floor(numbers.length / PARTS)] ?? 0) : 0;
    return this.#bound;
  }

  async #run(): Promise<void> {
    // Those touched in the same turn go together.
    await undefined;
    while (this.#waiting.length > 0 && !this.#closed) {
      const group = this.#waiting.splice(0, AT_ONCE);
      try {
        const outcomes = await Promise.all(group.map((waiting) => this.#refresh(waiting)));
        this.refreshed += outcomes.filter((isDone) => isDone).length;
      } catch (error) {
        // On a full disk they stay where they are.
        this.#dependencies.logger.warn({ error }, 'used records of old segments could not be appended anew');
      }
    }
    for (const { id } of this.#waiting) this.#dependencies.index.setFlag(id, EntryFlag.refreshing, false);
    this.#waiting = [];
    this.#running = undefined;
  }

  async #refresh({ id, digest, place }: Waiting): Promise<boolean> {
    const { index, segments } = this.#dependencies;
    try {
      return await segments.carry(id, digest, place);
    } finally {
      if (index.has(id)) index.setFlag(id, EntryFlag.refreshing, false);
    }
  }
}
