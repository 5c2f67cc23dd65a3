/** A piece of work as it goes on, shown until `done` or `fail`. */
export interface Progress {
  /** How far it is, in the unit of the total. Call as often as you like: showing is rate-limited. */
  update(done: number, note?: string): void;
  /** It is over; the note stays on the screen. */
  done(note?: string): void;
  /** It failed; the note says how. */
  fail(note: string): void;
}

/**
 * All that a command says. Answers go to stdout; chatter, warnings and progress to stderr. With `--json` stdout
 * carries JSON values only, one a line, in place of the answers for people.
 */
export interface Printer {
  readonly json: boolean;
  /** Someone looks at stderr: progress may redraw. */
  readonly isTerminal: boolean;
  /** An answer for people; not with `--json`. */
  line(text: string): void;
  /** Something is not as it should be, and the command goes on. */
  warn(text: string): void;
  /** An answer for programs: printed with `--json` only. */
  result(value: unknown): void;
  /** `total` is in bytes, files, actions: whatever `update` counts. */
  progress(label: string, total?: number): Progress;
}
