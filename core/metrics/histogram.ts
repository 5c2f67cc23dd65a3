/** Bounds in seconds for calls: from a hit in memory to an action of half an hour. */
export const CALL_SECONDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600, 1800,
];

/** Counts of values by upper bound, for a reader that comes by now and then. Counting one is a few array accesses. */
export class Histogram {
  /** Ascending; a value equal to a bound is below it. */
  readonly bounds: readonly number[];
  /** Values by the first bound they are not above; those above all are last. */
  readonly counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Of all values. */
  get sum(): number {
    return this.#sum;
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let index = 0;
    while (index < bounds.length && value > (bounds[index] as number)) index += 1;
    counts[index] = (counts[index] as number) + 1;
    this.#sum += value;
  }
}
