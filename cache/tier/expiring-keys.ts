/** What {@link ExpiringKeys} are made of. */
export interface ExpiringKeysOptions {
  /** How long a key is remembered. */
  readonly keptMs: number;
  /** Those noted longest ago are forgotten beyond this. */
  readonly keysMax: number;
  /** Milliseconds that never go back. */
  readonly now?: () => number;
}

/** A set whose keys go after a time. */
export class ExpiringKeys {
  readonly #options: ExpiringKeysOptions;
  readonly #now: () => number;
  /** When each is forgotten; the first one first. */
  readonly #keys = new Map<string, number>();

  constructor(options: ExpiringKeysOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  has(key: string): boolean {
    const untilMs = this.#keys.get(key);
    return untilMs !== undefined && this.#now() < untilMs;
  }

  /** Remembers it from now on. */
  add(key: string): void {
    this.#keys.delete(key);
    this.#keys.set(key, this.#now() + this.#options.keptMs);
    for (const [oldest, untilMs] of this.#keys) {
      if (this.#keys.size <= this.#options.keysMax && this.#now() < untilMs) return;
      this.#keys.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#keys.delete(key);
  }
}
