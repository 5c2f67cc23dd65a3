import { RankedQueue } from '../../../scheduler/matching/ranked-queue.ts';

interface Planned {
  readonly rank: number;
  readonly sequence: number;
  readonly run: () => void;
}

/** Simulated time: runs what was planned, in order. */
export class SimClock {
  nowMs = 0;
  #sequence = 0;
  readonly #planned = new RankedQueue<Planned>();

  /** Plans a call; equal times run in order of planning. */
  after(delayMs: number, run: () => void): void {
    this.#sequence += 1;
    this.#planned.push({ rank: this.nowMs + delayMs, sequence: this.#sequence, run });
  }

  /** Runs everything planned up to then. */
  runUntil(endMs: number): void {
    for (
      let next = this.#planned.peek();
      next !== undefined && next.rank <= endMs;
      next = this.#planned.peek()
    ) {
      this.#planned.pop();
      this.nowMs = next.rank;
      next.run();
    }
    this.nowMs = endMs;
  }
}
