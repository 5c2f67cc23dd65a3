import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { favour } from '../setup/favour.ts';

const ENTRY = join(import.meta.dirname, '../../cli/ingot.js');
/** What the system starts Node with when a person starts the entry: its first line says it. */
const NODE_FLAGS = readFileSync(ENTRY, 'utf8').split('\n', 1).join().split(' ').slice(3);

/** How a command ended. */
export interface EndedCommand {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

interface CommandOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** How long it takes is the point, and must not be for other things that the machine has to do. */
  readonly isTimed?: boolean;
}

/** An `ingot` process as a person would start it, its output so far, and its end. */
export class IngotProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<EndedCommand>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], { cwd, environment, isTimed = false }: CommandOptions = {}) {
    const startedMs = performance.now();
    this.child = spawn(process.execPath, [...NODE_FLAGS, ENTRY, ...args], {
      cwd,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (isTimed && this.child.pid !== undefined) favour(this.child.pid);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) =>
        resolve({
          code,
          signal,
          stdout: this.stdout,
          stderr: this.stderr,
          ms: performance.now() - startedMs,
        }),
      );
    });
  }

  /** The first line of stdout that begins so; throws, with all output, when the process ends without one. */
  async line(prefix: string, timeoutMs = 60_000): Promise<string> {
    const endMs = performance.now() + timeoutMs;
    let over = false;
    void this.ended.then(() => {
      over = true;
    });
    for (;;) {
      const found = this.stdout
        .split('\n')
        .find((line, index, all) => line.startsWith(prefix) && index < all.length - 1);
      if (found !== undefined) return found;
      if (over || performance.now() > endMs) {
        throw new Error(`no line beginning with ${prefix}\nstdout: ${this.stdout}\nstderr: ${this.stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<EndedCommand> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** Runs an `ingot` command to its end. */
export function ingot(args: readonly string[], options?: CommandOptions): Promise<EndedCommand> {
  return new IngotProcess(args, options).ended;
}
