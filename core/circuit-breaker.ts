import { type IngotError, isIngotError } from './error.ts';

/** What a {@link CircuitBreaker} is made of. */
export interface CircuitBreakerOptions {
  /** Failures in a row after which it opens. */
  readonly failuresMax: number;
  /** How long it stays open before one call may try again. */
  readonly openMs: number;
  /** What is thrown while it is open; `waitMs` is how long that lasts. */
  readonly refusal: (waitMs: number) => IngotError;
  /** Which errors speak of the other side; any other one does not count. */
  readonly isFailure: (error: IngotError) => boolean;
  /** Told when it opens and closes. */
  readonly onChange?: (isOpen: boolean) => void;
  /** Milliseconds that never go back. */
  readonly now?: () => number;
}

/**
 * Spares callers the wait for a part that is away. States: closed (calls go through), open (calls are refused at
 * once), probing (`openMs` later one call goes through; its end closes or opens again, all others are refused).
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  readonly #now: () => number;
  #failures = 0;
  #openUntilMs: number | undefined;
  #probing = false;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Calls would be refused now. */
  get isOpen(): boolean {
    return this.#openUntilMs !== undefined && (this.#probing || this.#now() < this.#openUntilMs);
  }

  /** It opened, and no call has succeeded since. */
  get isTripped(): boolean {
    return this.#openUntilMs !== undefined;
  }

  /** Runs the task, unless it is open. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.isOpen) throw this.#options.refusal(this.#waitMs());
    const isProbe = this.#openUntilMs !== undefined;
    this.#probing = isProbe;
    try {
      const result = await task();
      this.succeeded();
      return result;
    } catch (error) {
      if (isIngotError(error) && this.#options.isFailure(error)) this.failed();
      throw error;
    } finally {
      if (isProbe) this.#probing = false;
    }
  }

  /** Notes an answer that came outside of `run`. */
  succeeded(): void {
    this.#failures = 0;
    if (this.#openUntilMs === undefined) return;
    this.#openUntilMs = undefined;
    this.#options.onChange?.(false);
  }

  /** Notes a failure that was seen outside of `run`, as in the middle of a stream. */
  failed(): void {
    this.#failures += 1;
    if (this.#failures < this.#options.failuresMax) return;
    const wasClosed = this.#openUntilMs === undefined;
    this.#openUntilMs = this.#now() + this.#options.openMs;
    if (wasClosed) this.#options.onChange?.(true);
  }

  #waitMs(): number {
    return Math.max(0, (this.#openUntilMs ?? 0) - this.#now());
  }
}
