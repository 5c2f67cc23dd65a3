import type { Digest } from '../../core/digest.ts';
import type { HashWords } from '../../core/hash-words.ts';
import { type BlobIndex, type BlobPlace, IN_FILE } from './blob-index.ts';
import { indexWordsOf } from './index-words.ts';
import { digestOf, droppedPlace, type RecordFields, RecordKind } from './segment-record.ts';

/** What a {@link RecordReplay} depends on. */
export interface RecordReplayDependencies {
  readonly index: BlobIndex;
  /** Told of a blob that is known by another length than its file has. */
  readonly onMisfit: (digest: Digest) => void;
}

/** Enters what the records of a store say, segment by segment, into its index, in which the files must be already. */
export class RecordReplay {
  readonly #index: BlobIndex;
  readonly #onMisfit: (digest: Digest) => void;
  /** Where the bytes of a blob are, too, by id: a later drop may strike off the place that is known. */
  readonly #others = new Map<number, BlobPlace>();
  #instanceMax = 0;

  constructor({ index, onMisfit }: RecordReplayDependencies) {
    this.#index = index;
    this.#onMisfit = onMisfit;
  }

  /** The highest number of an instance in any record. */
  get instanceMax(): number {
    return this.#instanceMax;
  }

  enter(record: RecordFields, segment: number): void {
    const { kind, digest, instance } = record;
    const words = indexWordsOf(digest);
    const known = this.#index.findHash(words, digest.digestFunction);
    const fits = known >= 0 && this.#index.sizeOf(known) === digest.sizeBytes;
    if (known >= 0 && !fits) this.#onMisfit(digestOf(record));
    if (kind !== RecordKind.drop) this.#instanceMax = Math.max(this.#instanceMax, instance);
    if (kind === RecordKind.blob) this.#enterBlob(record, fits ? known : this.#claim(record), segment);
    else if (fits && kind === RecordKind.link) this.#index.instances.add(known, instance);
    else if (fits) this.#drop(known, droppedPlace(record));
  }

  #claim({ digest, seconds }: RecordFields): number {
    const id = claimEntry(this.#index, digest, { words: indexWordsOf(digest), seconds });
    this.#others.delete(id);
    return id;
  }

  #enterBlob({ instance, seconds, offset }: RecordFields, id: number, segment: number): void {
    const index = this.#index;
    const isPlaced = !index.isPending(id);
    if (isPlaced && index.segmentOf(id) !== IN_FILE) {
      this.#others.set(id, { segment: index.segmentOf(id), offset: index.offsetOf(id) });
    }
    if (!isPlaced || index.segmentOf(id) !== IN_FILE) index.place(id, segment, offset);
    index.instances.add(id, instance);
    index.use(id, seconds);
  }

  #drop(id: number, place: BlobPlace): void {
    const index = this.#index;
    const other = this.#others.get(id);
    // Of a blob that has since been stored as a file, what came before counts no more.
    if (index.segmentOf(id) === IN_FILE) index.instances.clear(id);
    else if (!index.isAt(id, place)) {
      if (other?.segment === place.segment && other.offset === place.offset) this.#others.delete(id);
    } else if (other !== undefined) {
      index.place(id, other.segment, other.offset);
      this.#others.delete(id);
    } else index.remove(id);
  }
}

/** An entry for a blob that has none. A file of the wrong length may stand for its hash: it is no longer asked for. */
export function claimEntry(
  index: BlobIndex,
  { digestFunction, sizeBytes }: Pick<Digest, 'digestFunction' | 'sizeBytes'>,
  { words, seconds }: { readonly words: HashWords; readonly seconds: number },
): number {
  const wrong = index.findHash(words, digestFunction);
  if (wrong >= 0) index.remove(wrong);
  return index.add({ words, digestFunction, sizeBytes }, seconds);
}
