import type { WriteStream } from 'node:tty';

/** Redraws are at most this often; more is flicker. */
const REDRAW_INTERVAL_MS = 80;

/** What {@link LiveRegion} needs of a terminal. */
export type TerminalStream = Pick<WriteStream, 'write' | 'columns' | 'rows'>;

/**
 * The last few lines of a terminal, redrawn in place. `print` puts lasting text above them. Lines are cut to the
 * terminal's width, since a wrapped one could not be erased.
 */
export class LiveRegion {
  readonly #stream: TerminalStream;
  readonly #now: () => number;
  #wanted: readonly string[] = [];
  #shownCount = 0;
  #drawnMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  /** True while the cursor stands in the middle of somebody else's line, which drawing would break. */
  held = false;

  constructor(stream: TerminalStream, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
  }

  /** Shows these lines, now or within the redraw interval. */
  show(lines: readonly string[]): void {
    this.#wanted = lines;
    if (this.held) return;
    const waitMs = this.#drawnMs + REDRAW_INTERVAL_MS - this.#now();
    if (waitMs <= 0) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), waitMs).unref();
  }

  /** Takes the lines away, has `write` put out its text, and shows the lines again below it. */
  above(write: () => void): void {
    this.#erase();
    write();
    if (this.#wanted.length > 0 && !this.held) this.#draw();
  }

  /** Takes the lines away for good. */
  clear(): void {
    this.#wanted = [];
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#erase();
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.held) return;
    this.#erase();
    this.#drawnMs = this.#now();
    const columns = this.#stream.columns ?? 80;
    const lines = this.#wanted.slice(0, Math.max(1, (this.#stream.rows ?? 24) - 1));
    if (lines.length === 0) return;
    this.#stream.write(lines.map((line) => `${line.slice(0, columns - 1)}\n`).join(''));
    this.#shownCount = lines.length;
  }

  #erase(): void {
    // To the line's start first: a terminal that echoes ^C has moved on from there.
    if (this.#shownCount > 0) this.#stream.write(`\r\u001b[${this.#shownCount}A\u001b[0J`);
    this.#shownCount = 0;
  }
}
