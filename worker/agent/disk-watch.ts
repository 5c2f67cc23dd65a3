import { statfs } from 'node:fs/promises';
import type { WorkerHealth } from './worker-health.ts';

const PERIOD_MS = 2000;
/** Well again only with this much more than the mark, so as not to change from beat to beat. */
const RECOVERY = 1.25;
/** With no more than this, writes fail or are about to. */
const FULL_BYTES = 16 * 2 ** 20;

export interface DiskWatchOptions {
  readonly folder: string;
  /** Below this much free space nothing new is taken. */
  readonly freeBytesMin: number;
  readonly health: WorkerHealth;
}

/** Keeps an eye on the disk that input roots and outputs are on. */
export class DiskWatch {
  readonly #options: DiskWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #low = false;
  #lastFullMs = Number.NEGATIVE_INFINITY;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    await this.check();
    this.#timer = setInterval(() => void this.check(), PERIOD_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** True when the disk is full, or was at some look since then (milliseconds of `performance.now()`). */
  async wasFullSince(startMs: number): Promise<boolean> {
    await this.check();
    return this.#lastFullMs >= startMs;
  }

  /** Looks now. */
  async check(): Promise<void> {
    const { folder, freeBytesMin, health } = this.#options;
    try {
      const { bavail, bsize } = await statfs(folder);
      const freeBytes = bavail * bsize;
      if (freeBytes < FULL_BYTES) this.#lastFullMs = performance.now();
      this.#low = freeBytes < freeBytesMin * (this.#low ? RECOVERY : 1);
      const reason = `only ${Math.floor(freeBytes / 2 ** 20)} MiB are free for actions`;
      health.report(
        'disk',
        this.#low ? `${reason}, expected ${Math.ceil(freeBytesMin / 2 ** 20)}` : undefined,
      );
    } catch (error) {
      this.#low = true;
      health.report('disk', `the work folder cannot be looked at: ${String(error)}`);
    }
  }
}
