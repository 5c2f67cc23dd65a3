import { stat } from 'node:fs/promises';
import { join } from 'node:path';

/** How often an idle worker looks, so that it announces what it is. */
const PERIOD_MS = 5000;
/** How often it looks at everything, which takes a core 0.5 s: not all that is written to /usr/local shows below. */
const THOROUGH_PERIOD_MS = 60_000;

/** Whatever installs or removes a package, or a program in the usual places, changes one of these. */
const WATCHED = [
  'var/lib/dpkg/status',
  'lib/apk/db/installed',
  'usr/lib/sysimage/rpm',
  'var/lib/rpm',
  'etc/ld.so.cache',
  'etc/alternatives',
  'usr/bin',
  'usr/lib',
  'usr/include',
  'usr/local',
  'usr/local/bin',
  'usr/local/lib',
  'usr/local/include',
];

export interface ImageWatchOptions {
  /** The slow and sure way: `identifyHostImage`. */
  readonly identify: () => Promise<string>;
  /** Default `/`. */
  readonly machineRoot?: string;
}

/**
 * Notices that the host was changed under the worker, as by a package upgrade, at the cost of a dozen stats; files
 * written over in place, within a minute. An action during which it changed was run by who knows which compiler: its
 * result must not be kept.
 */
export class ImageWatch {
  readonly #identify: () => Promise<string>;
  readonly #machineRoot: string;
  #seen = '';
  #identity: Promise<string> | undefined;
  #latest = '';
  #timer: NodeJS.Timeout | undefined;
  #thoroughTimer: NodeJS.Timeout | undefined;

  constructor({ identify, machineRoot = '/' }: ImageWatchOptions) {
    this.#identify = identify;
    this.#machineRoot = machineRoot;
  }

  /** The image's name as of the last look; empty before the first. */
  get latest(): string {
    return this.#latest;
  }

  /** The image's name as of now; quick unless something has changed. */
  async identity(): Promise<string> {
    const seen = await this.#look();
    if (seen !== this.#seen || this.#identity === undefined) {
      this.#seen = seen;
      this.#identity = this.#identify();
    }
    try {
      this.#latest = await this.#identity;
    } catch (error) {
      // A file vanished while it was looked at: the next look begins anew.
      this.#identity = undefined;
      throw error;
    }
    return this.#latest;
  }

  /** Looks from time to time; `onChange` is told of another name, and of a look that failed. */
  start(onChange: (error?: unknown) => void): void {
    const look = (identify: () => Promise<unknown>): void => {
      const before = this.#latest;
      identify().then(
        () => this.#latest !== before && onChange(),
        (error: unknown) => onChange(error),
      );
    };
    this.#timer = setInterval(() => look(() => this.identity()), PERIOD_MS);
    this.#thoroughTimer = setInterval(() => look(() => this.lookThoroughly()), THOROUGH_PERIOD_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    clearInterval(this.#thoroughTimer);
  }

  /** Looks at everything, while the name known so far goes on being used. */
  async lookThoroughly(): Promise<void> {
    const seen = this.#seen;
    const name = await this.#identify();
    // Something was installed meanwhile: `identity` looks at it, and this look is of no use.
    if (seen !== this.#seen) return;
    this.#identity = Promise.resolve(name);
    this.#latest = name;
  }

  async #look(): Promise<string> {
    const facts = await Promise.all(
      WATCHED.map(async (path) => {
        const stats = await stat(join(this.#machineRoot, path), { bigint: true }).catch(() => undefined);
        return stats === undefined ? '-' : `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
      }),
    );
    return facts.join('\n');
  }
}
