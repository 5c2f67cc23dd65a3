import { cancelled } from '../core/error.ts';

/** npx, the terminal and cli/ingot.js each pass a Ctrl-C on: what comes within this time is the same one. */
const ECHO_MS = 500;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What {@link Interrupts} needs of the process. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  off(signal: NodeJS.Signals, listener: () => void): unknown;
}

interface InterruptsOptions {
  readonly source: SignalSource;
  /** Called for a second, later signal: the person does not want to wait for the drain. */
  readonly onForce: () => void;
  readonly now?: () => number;
}

/**
 * Turns SIGINT, SIGTERM and SIGHUP into one AbortSignal. States: quiet, until the first signal; asked, when
 * `signal` is aborted and the command cancels or drains; forced, from a second one on.
 */
export class Interrupts implements Disposable {
  readonly #options: InterruptsOptions;
  readonly #controller = new AbortController();
  readonly #now: () => number;
  #askedMs: number | undefined;

  constructor(options: InterruptsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    for (const name of SIGNALS) options.source.on(name, this.#receive);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const name of SIGNALS) this.#options.source.off(name, this.#receive);
  }

  readonly #receive = (): void => {
    const now = this.#now();
    if (this.#askedMs === undefined) {
      this.#askedMs = now;
      this.#controller.abort(cancelled('interrupted by a signal'));
    } else if (now - this.#askedMs >= ECHO_MS) {
      this.#options.onForce();
    }
  };
}
