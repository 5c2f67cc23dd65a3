import type { Instant } from './state/instant.ts';

/** Tells the time to the scheduler; injected, so that tests can. */
export interface Clock {
  now(): Instant;
}

/** The machine's clocks. */
export const systemClock: Clock = {
  now: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
};
