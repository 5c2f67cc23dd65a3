const TICK_MS = 16; // How much later than its deadline a call may hear of it.

/** What has a deadline. */
export interface DeadlineListener {
  onDeadline(): void;
}

/**
 * Watches the deadlines of all calls of a server with one timer. Nearly every call has one and is over long before, so
 * setting and clearing it must cost next to nothing: those that fall into one tick share a set.
 */
export class Deadlines {
  readonly #ticks = new Map<number, Set<DeadlineListener>>();
  #timer: NodeJS.Timeout | undefined;
  #timerTick = Number.POSITIVE_INFINITY;

  /** Calls `onDeadline` once `performance.now()` has reached this, unless it is removed before. */
  add(atMs: number, listener: DeadlineListener): void {
    const tick = tickOf(atMs);
    const listeners = this.#ticks.get(tick);
    if (listeners !== undefined) listeners.add(listener);
    else {
      this.#ticks.set(tick, new Set([listener]));
      if (tick < this.#timerTick) this.#arm(tick);
    }
  }

  remove(atMs: number, listener: DeadlineListener): void {
    const tick = tickOf(atMs);
    const listeners = this.#ticks.get(tick);
    listeners?.delete(listener);
    if (listeners?.size === 0) this.#ticks.delete(tick);
  }

  /** Calls no one any more. */
  close(): void {
    this.#ticks.clear();
    clearTimeout(this.#timer);
  }

  #arm(tick: number): void {
    clearTimeout(this.#timer);
    this.#timerTick = tick;
    const ms = Math.min(Math.max(1, Math.ceil(tick * TICK_MS - performance.now())), LONGEST_WAIT_MS);
    this.#timer = setTimeout(() => this.#onTimer(), ms);
    // What a server waits for keeps the process; a deadline alone need not.
    this.#timer.unref();
  }

  #onTimer(): void {
    const now = performance.now() / TICK_MS;
    this.#timerTick = Number.POSITIVE_INFINITY;
    let next = Number.POSITIVE_INFINITY;
    for (const [tick, listeners] of this.#ticks) {
      if (tick > now) next = Math.min(next, tick);
      else {
        this.#ticks.delete(tick);
        for (const listener of listeners) listener.onDeadline();
      }
    }
    if (next < this.#timerTick) this.#arm(next);
  }
}

const LONGEST_WAIT_MS = 2 ** 31 - 1; // `setTimeout` takes no more; the timer looks and waits again.

function tickOf(atMs: number): number {
  return Math.ceil(atMs / TICK_MS);
}
