import { randomInt } from 'node:crypto';
import type { HashWords } from '../../core/hash-words.ts';
import type { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { InstanceSets } from './instance-sets.ts';

const WORDS = 8;
/** Entries at first; the arrays double when they are full. */
const CAPACITY_MIN = 1 << 14;
/** Spreads bits upwards: 2^32 divided by the golden ratio, odd. */
const SPREAD = 0x9e3779b1;
/** Segment number that says: the blob is a file of its own. Segments are counted from 1. */
export const IN_FILE = 0;

/** Something is being done with the entry. */
export const EntryFlag = {
  /** Its bytes are not durable yet: it is absent for all but its writers. */
  pending: 1,
  /** It is queued to be appended anew. */
  refreshing: 2,
} as const;

/** A blob as the index knows it, hash in words; see `indexWordsOf`. */
export interface IndexKey {
  readonly words: HashWords;
  readonly digestFunction: DigestFunction_Value;
  readonly sizeBytes: number;
}

/** Where a blob's bytes are. */
export interface BlobPlace {
  /** A segment's number, or {@link IN_FILE}. */
  readonly segment: number;
  /** Of the record in the segment. */
  readonly offset: number;
}

/**
 * Every blob of a store in typed arrays: about 75 bytes a blob, no strings and no object each. Open addressing over
 * entry ids; an id stays the entry's until `remove`, and is then given to another.
 */
export class BlobIndex {
  readonly instances = new InstanceSets(CAPACITY_MIN);
  readonly #seed = randomInt(2 ** 32) | 0;
  /** Entry id + 1 by hash, 0 where there is none; twice as many slots as entries at least. */
  #slots = new Int32Array(CAPACITY_MIN * 2);
  #words = new Int32Array(CAPACITY_MIN * WORDS);
  #sizes = new Float64Array(CAPACITY_MIN);
  #functions = new Uint8Array(CAPACITY_MIN);
  #flags = new Uint8Array(CAPACITY_MIN);
  #segments = new Uint32Array(CAPACITY_MIN);
  #offsets = new Uint32Array(CAPACITY_MIN);
  #uses = new Uint32Array(CAPACITY_MIN);
  #rings = new Float64Array(CAPACITY_MIN);
  #free: number[] = [];
  /** Ids from here on were never given out. */
  #end = 0;
  #capacity = CAPACITY_MIN;
  #fileBytes = 0;
  readonly #onRemoved: (id: number) => void;

  /** `onRemoved` is told of an id when it is no longer the blob's. */
  constructor(onRemoved: (id: number) => void = () => undefined) {
    this.#onRemoved = onRemoved;
  }

  /** Blobs, pending ones included. */
  get size(): number {
    return this.#end - this.#free.length;
  }

  /** Ids are below it. */
  get idsEnd(): number {
    return this.#end;
  }

  /** Bytes of the blobs that are files. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** The entry's id, or -1. */
  find(words: HashWords, digestFunction: DigestFunction_Value, sizeBytes: number): number {
    const id = this.findHash(words, digestFunction);
    return id >= 0 && this.#sizes[id] === sizeBytes ? id : -1;
  }

  /** The same whatever the size. */
  findHash(words: HashWords, digestFunction: DigestFunction_Value): number {
    const mask = this.#slots.length - 1;
    for (let slot = this.#slotOf(words[0] as number, words[1] as number); ; slot = (slot + 1) & mask) {
      const id = (this.#slots[slot] as number) - 1;
      if (id < 0) return -1;
      if (this.#functions[id] === digestFunction && this.#hasWords(id, words)) return id;
    }
  }

  /** A new entry, pending and in no instance; its key must not be in the index. */
  add({ words, digestFunction, sizeBytes }: IndexKey, useSeconds: number): number {
    if (this.#free.length === 0 && this.#end === this.#capacity) this.#grow();
    const id = this.#free.pop() ?? this.#end++;
    this.#words.set(words, id * WORDS);
    this.#sizes[id] = sizeBytes;
    this.#functions[id] = digestFunction;
    this.#flags[id] = EntryFlag.pending;
    this.#segments[id] = IN_FILE;
    this.#offsets[id] = 0;
    this.#uses[id] = useSeconds;
    this.#rings[id] = -1;
    this.#enter(id);
    return id;
  }

  /** Takes the entry out; its id may be another's from now on. */
  remove(id: number): void {
    if (!this.isPending(id) && this.#segments[id] === IN_FILE) this.#fileBytes -= this.sizeOf(id);
    this.#leave(id);
    this.instances.clear(id);
    this.#sizes[id] = -1;
    this.#free.push(id);
    this.#onRemoved(id);
  }

  /** Where the bytes are; the entry is no longer pending. */
  place(id: number, segment: number, offset: number): void {
    const wasInFile = !this.isPending(id) && this.#segments[id] === IN_FILE;
    if (wasInFile) this.#fileBytes -= this.sizeOf(id);
    if (segment === IN_FILE) this.#fileBytes += this.sizeOf(id);
    this.#segments[id] = segment;
    this.#offsets[id] = offset / 8;
    this.setFlag(id, EntryFlag.pending, false);
  }

  /** Whether the id is an entry's. */
  has(id: number): boolean {
    return id < this.#end && this.sizeOf(id) >= 0;
  }

  isPending(id: number): boolean {
    return this.hasFlag(id, EntryFlag.pending);
  }

  hasFlag(id: number, flag: number): boolean {
    return ((this.#flags[id] as number) & flag) !== 0;
  }

  setFlag(id: number, flag: number, on: boolean): void {
    const flags = this.#flags[id] as number;
    this.#flags[id] = on ? flags | flag : flags & ~flag;
  }

  sizeOf(id: number): number {
    return this.#sizes[id] as number;
  }

  digestFunctionOf(id: number): DigestFunction_Value {
    return this.#functions[id] as DigestFunction_Value;
  }

  segmentOf(id: number): number {
    return this.#segments[id] as number;
  }

  offsetOf(id: number): number {
    return (this.#offsets[id] as number) * 8;
  }

  isAt(id: number, { segment, offset }: BlobPlace): boolean {
    return !this.isPending(id) && this.segmentOf(id) === segment && this.offsetOf(id) === offset;
  }

  /** The words of its hash; a copy. */
  wordsOf(id: number): HashWords {
    return Array.from(this.#words.subarray(id * WORDS, (id + 1) * WORDS));
  }

  lastUseOf(id: number): number {
    return this.#uses[id] as number;
  }

  /** Notes a use, in seconds since 1970. */
  use(id: number, seconds: number): void {
    this.#uses[id] = seconds;
  }

  /** Where a copy is in the recent ring, or -1. */
  ringOf(id: number): number {
    return this.#rings[id] as number;
  }

  setRing(id: number, position: number): void {
    this.#rings[id] = position;
  }

  #hasWords(id: number, words: HashWords): boolean {
    const at = id * WORDS;
    for (let index = 0; index < WORDS; index++) {
      if (this.#words[at + index] !== words[index]) return false;
    }
    return true;
  }

  /** The seed keeps a client from choosing blobs that all meet in one place. */
  #slotOf(first: number, second: number): number {
    const mixed = Math.imul(first ^ this.#seed, SPREAD) + Math.imul(second ^ (this.#seed >>> 7), SPREAD + 2);
    return (mixed ^ (mixed >>> 15)) & (this.#slots.length - 1);
  }

  #homeOf(id: number): number {
    return this.#slotOf(this.#words[id * WORDS] as number, this.#words[id * WORDS + 1] as number);
  }

  #enter(id: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#homeOf(id);
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = id + 1;
  }

  /** Closes the gap: what stands behind it moves up unless it would pass its home. */
  #leave(id: number): void {
    const mask = this.#slots.length - 1;
    let gap = this.#homeOf(id);
    while (this.#slots[gap] !== id + 1) gap = (gap + 1) & mask;
    for (let slot = (gap + 1) & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#homeOf((this.#slots[slot] as number) - 1);
      if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
      this.#slots[gap] = this.#slots[slot] as number;
      gap = slot;
    }
    this.#slots[gap] = 0;
  }

  #grow(): void {
    this.#capacity *= 2;
    const larger = <T extends Int32Array | Uint32Array | Uint8Array | Float64Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.#words = larger(this.#words, new Int32Array(this.#capacity * WORDS));
    this.#sizes = larger(this.#sizes, new Float64Array(this.#capacity));
    this.#functions = larger(this.#functions, new Uint8Array(this.#capacity));
    this.#flags = larger(this.#flags, new Uint8Array(this.#capacity));
    this.#segments = larger(this.#segments, new Uint32Array(this.#capacity));
    this.#offsets = larger(this.#offsets, new Uint32Array(this.#capacity));
    this.#uses = larger(this.#uses, new Uint32Array(this.#capacity));
    this.#rings = larger(this.#rings, new Float64Array(this.#capacity));
    this.instances.grow(this.#capacity);
    this.#slots = new Int32Array(this.#capacity * 2);
    for (let id = 0; id < this.#end; id++) if (this.has(id)) this.#enter(id);
  }
}
