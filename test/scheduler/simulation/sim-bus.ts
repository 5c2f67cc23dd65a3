import type { SimClock } from './sim-clock.ts';
import type { SimRandom } from './sim-random.ts';

/** How the bus misbehaves. */
export interface BusFaults {
  drop: number;
  duplicate: number;
  /** Share of messages that come late, and how late at most. */
  late: number;
  lateMs: number;
  /** Nothing gets through. */
  away: boolean;
}

/** Carries calls between the parts, and loses, doubles, delays and so reorders them. */
export class SimBus {
  readonly faults: BusFaults = { drop: 0, duplicate: 0, late: 0, lateMs: 0, away: false };
  readonly #clock: SimClock;
  readonly #random: SimRandom;

  constructor(clock: SimClock, random: SimRandom) {
    this.#clock = clock;
    this.#random = random;
  }

  /** One message: `deliver` runs later, never, or twice. */
  send(deliver: () => void): void {
    const { drop, duplicate } = this.faults;
    const copies = this.#random.chance(duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (this.faults.away || this.#random.chance(drop)) continue;
      this.#clock.after(this.#delayMs(), () => {
        if (!this.faults.away) deliver();
      });
    }
  }

  /** One request: `settle` runs once, with the reply or, after the timeout, without. */
  request<T>(
    timeoutMs: number,
    call: (reply: (value: T) => void) => void,
    settle: (reply: T | undefined) => void,
  ): void {
    let settled = false;
    const settleOnce = (reply: T | undefined): void => {
      if (settled) return;
      settled = true;
      settle(reply);
    };
    this.send(() => call((value) => this.send(() => settleOnce(value))));
    this.#clock.after(timeoutMs, () => settleOnce(undefined));
  }

  #delayMs(): number {
    const { late, lateMs } = this.faults;
    return this.#random.chance(late) ? this.#random.between(1, lateMs) : this.#random.between(0.1, 3);
  }
}
