import type { Writable } from 'node:stream';
import { formatDuration } from './format-duration.ts';
import { LiveRegion } from './live-region.ts';
import type { Printer, Progress } from './printer.ts';
import { progressLine } from './progress-line.ts';

/** Without a terminal, a long piece of work says how far it is this often. */
const PLAIN_PROGRESS_INTERVAL_MS = 5_000;
const NEWLINE = 10;

/** A stream as a process has it: a terminal, a pipe or a file. */
export type OutputStream = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

/** How much is said besides answers: errors and warnings only, the normal, or every detail. */
export type Verbosity = 'quiet' | 'normal' | 'verbose';

interface ConsolePrinterOptions {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly json: boolean;
  readonly verbosity: Verbosity;
  readonly now?: () => number;
}

/** The {@link Printer} of the program, and the output of actions around its progress lines. */
export class ConsolePrinter implements Printer {
  readonly json: boolean;
  readonly isTerminal: boolean;
  readonly verbosity: Verbosity;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  readonly #now: () => number;
  readonly #region: LiveRegion;
  readonly #running = new Map<object, string>();

  constructor(options: ConsolePrinterOptions) {
    this.json = options.json;
    this.verbosity = options.verbosity;
    this.#stdout = options.stdout;
    this.#stderr = options.stderr;
    this.#now = options.now ?? (() => performance.now());
    this.isTerminal = options.stderr.isTTY === true && options.verbosity !== 'quiet';
    const { stderr } = options;
    this.#region = new LiveRegion(
      {
        write: (text: string) => stderr.write(text),
        get columns() {
          return stderr.columns ?? 80;
        },
        get rows() {
          return stderr.rows ?? 24;
        },
      },
      this.#now,
    );
  }

  line(text: string): void {
    if (!this.json) this.#put(this.#stdout, text);
  }

  warn(text: string): void {
    this.#put(this.#stderr, `warning: ${text}`);
  }

  /** Chatter on stderr: what is going on and what it took. Not with `--quiet`. */
  note(text: string): void {
    if (this.verbosity !== 'quiet') this.#put(this.#stderr, text);
  }

  /** What only someone looking for a cause wants to know: with `--verbose`. */
  detail(text: string): void {
    if (this.verbosity === 'verbose') this.#put(this.#stderr, text);
  }

  /** Why the command fails. */
  error(text: string): void {
    this.#put(this.#stderr, text);
  }

  result(value: unknown): void {
    if (this.json) this.#put(this.#stdout, JSON.stringify(value));
  }

  /** An action's own output, byte for byte; on stderr with `--json`. Resolves when the stream can take more. */
  async output(stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> {
    const target = stream === 'stdout' && !this.json ? this.#stdout : this.#stderr;
    let flowing = true;
    this.#region.above(() => {
      flowing = target.write(bytes);
      if (this.isTerminal && target.isTTY === true) this.#region.held = bytes.at(-1) !== NEWLINE;
    });
    if (!flowing) await new Promise((resolve) => target.once('drain', resolve));
  }

  /** A block of lines at the terminal's end, redrawn at each call; nothing where there is no terminal. */
  live(lines: readonly string[]): void {
    if (this.isTerminal) this.#region.show(lines);
  }

  /** Takes the block away. */
  liveEnd(): void {
    this.#region.clear();
  }

  progress(label: string, total?: number): Progress {
    const key = {};
    const startedMs = this.#now();
    let shownMs = startedMs;
    const end = (note: string) => {
      this.#running.delete(key);
      this.#region.clear();
      this.#showRunning();
      this.note(`${label}: ${note}`);
    };
    return {
      update: (done, note) => {
        if (this.verbosity === 'quiet') return;
        const text = progressLine(label, done, total, note);
        if (this.isTerminal) {
          this.#running.set(key, text);
          this.#showRunning();
        } else if (this.#now() - shownMs >= PLAIN_PROGRESS_INTERVAL_MS) {
          shownMs = this.#now();
          this.note(text);
        }
      },
      done: (note) => end(note ?? `done in ${formatDuration(this.#now() - startedMs)}`),
      fail: (note) => end(`failed: ${note}`),
    };
  }

  #showRunning(): void {
    if (this.#running.size > 0) this.#region.show([...this.#running.values()]);
  }

  #put(stream: OutputStream, text: string): void {
    this.#region.above(() => {
      // An action's last line may have had no end; ours does not go on in it.
      if (this.#region.held) this.#stderr.write('\n');
      this.#region.held = false;
      stream.write(`${text}\n`);
    });
  }
}
