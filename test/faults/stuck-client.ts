import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const MAIN = join(import.meta.dirname, 'stuck-client-main.ts');

/** A client process in the midst of a transfer; see `stuck-client-main.ts`. */
export class StuckClient implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when bytes have been sent or received. `command` runs it elsewhere, such as in a network namespace. */
  static async start(args: readonly string[], command: readonly string[] = []): Promise<StuckClient> {
    const [program = '', ...before] = [...command, process.execPath];
    const child = spawn(program, [...before, MAIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    await Promise.race([
      once(lines, 'line'),
      once(child, 'exit').then(() => Promise.reject(new Error(`the client ended: ${args.join(' ')}`))),
    ]);
    lines.close();
    child.stdout.resume();
    return new StuckClient(child);
  }

  /** Freezes it: its kernel goes on to acknowledge what comes, and nobody reads it. */
  stop(): void {
    this.#child.kill('SIGSTOP');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
