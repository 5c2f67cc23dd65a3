import type { Logger } from '../../core/log/logger.ts';

export interface WorkerHealthDependencies {
  readonly logger: Logger;
}

/** Why a worker takes nothing new, by the part of it that is unwell. */
export class WorkerHealth {
  readonly #logger: Logger;
  readonly #reasons = new Map<string, string>();
  #onChange: () => void = () => undefined;

  constructor({ logger }: WorkerHealthDependencies) {
    this.#logger = logger;
  }

  /** For people; empty when all is well. */
  get reason(): string {
    return [...this.#reasons.values()].join('; ');
  }

  /** Called after each change; there is one listener. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** A part says how it is: undefined when well. */
  report(part: string, reason: string | undefined): void {
    if (this.#reasons.get(part) === reason) return;
    if (reason === undefined) {
      this.#reasons.delete(part);
      this.#logger.info({ part }, 'worker is well again');
    } else {
      this.#reasons.set(part, reason);
      this.#logger.warn({ part, reason }, 'worker is unwell and takes nothing new');
    }
    this.#onChange();
  }
}
