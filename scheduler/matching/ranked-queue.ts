/** What a {@link RankedQueue} orders: smaller ranks first, equal ranks by sequence. */
export interface Ranked {
  readonly rank: number;
  readonly sequence: number;
}

/** A binary heap of ranked entries; add and remove cost the logarithm of its size. */
export class RankedQueue<T extends Ranked> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The first entry; undefined when empty. */
  peek(): T | undefined {
    return this.#heap[0];
  }

  /** Every entry, in no order. */
  entries(): Iterable<T> {
    return this.#heap.values();
  }

  push(entry: T): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex] as T;
      if (before(parent, entry)) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = entry;
  }

  /** Drops all other entries. Costs about its size. */
  retain(keep: (entry: T) => boolean): void {
    for (const entry of this.#heap.splice(0)) {
      if (keep(entry)) this.push(entry);
    }
  }

  pop(): T | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    this.#sink(last);
    return first;
  }

  /** Puts `entry` at the top and moves it down to its place. */
  #sink(entry: T): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let childIndex = 2 * index + 1;
      let child = heap[childIndex];
      if (child === undefined) break;
      const right = heap[childIndex + 1];
      if (right !== undefined && before(right, child)) {
        childIndex += 1;
        child = right;
      }
      if (before(entry, child)) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = entry;
  }
}

function before(a: Ranked, b: Ranked): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.sequence < b.sequence);
}
