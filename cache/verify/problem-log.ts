import type { Logger } from '../../core/log/logger.ts';

/** Turns what the parts of the cache log as a warning or an error into problems found. */
export class ProblemLog implements Logger {
  readonly #onProblem: (problem: string) => void;

  constructor(onProblem: (problem: string) => void) {
    this.#onProblem = onProblem;
  }

  debug(): void {
    // Nothing to be told of.
  }

  info(): void {
    // Nothing to be told of.
  }

  warn(fields: object, message: string): void {
    this.error(fields, message);
  }

  error(fields: object, message: string): void {
    const facts = Object.entries(fields).map(([name, value]) => `${name} ${textOf(value)}`);
    this.#onProblem(facts.length === 0 ? message : `${message} (${facts.join(', ')})`);
  }

  child(): Logger {
    return this;
  }
}

function textOf(value: unknown): string {
  return value instanceof Error ? value.message : String(value);
}
