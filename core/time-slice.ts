import { setImmediate } from 'node:timers/promises';

/** A turn of the event loop may take so long before others are let in. */
const SLICE_MS = 10;

/** Keeps a long computation from holding up everyone else: call `pause` between its steps. */
export class TimeSlice {
  #beganMs = performance.now();

  /** Lets the event loop go round when this slice is used up. */
  async pause(): Promise<void> {
    if (performance.now() - this.#beganMs < SLICE_MS) return;
    await setImmediate();
    this.#beganMs = performance.now();
  }
}
