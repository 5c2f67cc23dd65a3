import { type LinkedAbort, linkedAbort, untilAborted } from '../../core/abort.ts';
import { aborted } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { startTimer } from '../../core/timer.ts';

/** How many uploads of one digest take bytes at once: one, and one more in case the first is slow. */
const RUNNERS_MAX = 2;
/** When no upload of a digest has moved for so long, one more may start: they may all be clients that are gone. */
const STALLED_MS = 2_000;

/** What {@link UploadRaces} depends on. */
export interface UploadRacesDependencies {
  /** Milliseconds that never go back. */
  readonly now?: () => number;
}

/** The uploads under way, by digest. Those of one digest race: the first to be stored ends the others. */
export class UploadRaces {
  readonly #races = new Map<string, Race>();
  readonly #now: () => number;

  constructor({ now = () => performance.now() }: UploadRacesDependencies = {}) {
    this.#now = now;
  }

  /** Enters an upload; dispose of it when it is over, won or not. */
  enter(key: string, { signal }: IoOptions = {}): UploadRunner {
    let race = this.#races.get(key);
    if (race === undefined) {
      race = new Race(this.#now);
      this.#races.set(key, race);
    }
    const entered = race;
    return new UploadRunner(entered, signal, () => {
      if (entered.runners.size === 0 && this.#races.get(key) === entered) this.#races.delete(key);
    });
  }

  /** Uploads under way, over all digests. */
  get size(): number {
    let size = 0;
    for (const race of this.#races.values()) size += race.runners.size;
    return size;
  }
}

class Race {
  readonly runners = new Set<UploadRunner>();
  readonly waiting = new Set<() => void>();
  readonly now: () => number;
  running = 0;
  movedMs: number;
  won = false;

  constructor(now: () => number) {
    this.now = now;
    this.movedMs = now();
  }

  hasRoom(): boolean {
    return this.running < RUNNERS_MAX || this.now() - this.movedMs >= STALLED_MS;
  }

  wakeOne(): void {
    const [wake] = this.waiting;
    wake?.();
  }

  async change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.waiting.add(resolve);
    const stopTimer = startTimer(STALLED_MS, resolve);
    try {
      await untilAborted(promise, signal);
    } finally {
      stopTimer();
      this.waiting.delete(resolve);
    }
  }
}

/** One upload in the race of its digest. States: waiting, running (after `start`), over (disposed of). */
export class UploadRunner implements Disposable {
  readonly #race: Race;
  readonly #abort: LinkedAbort;
  readonly #onOver: () => void;
  #running = false;

  constructor(race: Race, signal: AbortSignal | undefined, onOver: () => void) {
    this.#race = race;
    this.#abort = linkedAbort(signal);
    this.#onOver = onOver;
    race.runners.add(this);
  }

  /** Aborts with the caller's signal, and when another upload has won. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Another upload of the digest was stored; nothing is left to do. */
  get beaten(): boolean {
    return this.#race.won;
  }

  /** Waits for its turn to take bytes; check `beaten` then. */
  async start(): Promise<void> {
    const race = this.#race;
    while (!race.won && !race.hasRoom()) await race.change(this.signal);
    if (race.won) return;
    this.#running = true;
    race.running += 1;
    this.moved();
  }

  /** Says that bytes are arriving. */
  moved(): void {
    this.#race.movedMs = this.#race.now();
  }

  /** Says that this one is stored, and ends the others. */
  win(): void {
    this.#race.won = true;
    for (const wake of this.#race.waiting) wake();
    for (const runner of this.#race.runners) {
      if (runner !== this) runner.#abort.abort(aborted('another upload of the blob was stored first'));
    }
  }

  [Symbol.dispose](): void {
    this.#abort[Symbol.dispose]();
    this.#race.runners.delete(this);
    if (this.#running) {
      this.#race.running -= 1;
      this.#race.wakeOne();
    }
    this.#onOver();
  }
}
