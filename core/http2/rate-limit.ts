/** How often something may happen: `burst` times at once, and `perSecond` on and on. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** Counts what a peer does against a {@link Rate}. Looks at the clock only when the burst is used up. */
export class RateLimit {
  readonly #rate: Rate;
  #left: number;
  #sinceMs: number;

  constructor(rate: Rate, nowMs: number = performance.now()) {
    this.#rate = rate;
    this.#left = rate.burst;
    this.#sinceMs = nowMs;
  }

  /** False when it happened too often. */
  take(nowMs?: number): boolean {
    if (this.#left < 1) this.#refill(nowMs ?? performance.now());
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  #refill(nowMs: number): void {
    const { burst, perSecond } = this.#rate;
    this.#left = Math.min(burst, this.#left + ((nowMs - this.#sinceMs) / 1000) * perSecond);
    this.#sinceMs = nowMs;
  }
}
