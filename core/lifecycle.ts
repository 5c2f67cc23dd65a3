import { linkedAbort, untilAborted } from './abort.ts';
import { deadlineExceeded } from './error.ts';
import type { Logger } from './log/logger.ts';

/** What a close step still gets once the deadline has passed: time to say goodbye, not to finish. */
const LATE_STEP_MS = 250;

interface Step {
  readonly name: string;
  readonly close: () => Promise<void> | void;
}

/** What a lifecycle needs from outside. */
export interface LifecycleDependencies {
  readonly logger: Logger;
}

/**
 * The list of what a process has opened, closed in reverse order by `shutdown`. States: running, until the first
 * `shutdown`; closing; closed. What is registered while closing is closed too; when closed, at once.
 */
export class Lifecycle {
  readonly #logger: Logger;
  readonly #steps: Step[] = [];
  #shutdown: Promise<void> | undefined;
  #closed = false;

  constructor({ logger }: LifecycleDependencies) {
    this.#logger = logger;
  }

  /** Registers how to close something, by a name people know it by. */
  defer(name: string, close: () => Promise<void> | void): void {
    if (this.#closed) void this.#close({ name, close }, LATE_STEP_MS);
    else this.#steps.push({ name, close });
  }

  /** Registers something that can be disposed of, and returns it. */
  use<T extends AsyncDisposable>(name: string, resource: T): T {
    this.defer(name, async () => await resource[Symbol.asyncDispose]());
    return resource;
  }

  /**
   * Closes everything, newest first. A step that fails, or is not done by the deadline, is logged and left; every
   * step is tried. A second call waits for the first.
   */
  shutdown({ deadlineMs }: { readonly deadlineMs: number }): Promise<void> {
    this.#shutdown ??= this.#closeAll(deadlineMs);
    return this.#shutdown;
  }

  async #closeAll(deadlineMs: number): Promise<void> {
    const endMs = performance.now() + deadlineMs;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      await this.#close(step, Math.max(endMs - performance.now(), LATE_STEP_MS));
    }
    this.#closed = true;
  }

  async #close({ name, close }: Step, timeoutMs: number): Promise<void> {
    using abort = linkedAbort(undefined, {
      timeoutMs,
      timeoutError: deadlineExceeded(`${name} did not close within ${Math.round(timeoutMs)} ms`),
    });
    try {
      await untilAborted((async () => await close())(), abort.signal);
      this.#logger.debug({ step: name }, 'closed');
    } catch (error) {
      this.#logger.error({ step: name, error }, 'could not close');
    }
  }
}
