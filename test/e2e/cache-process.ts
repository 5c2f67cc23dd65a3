import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { storedBlobs } from '../setup/stored-blobs.ts';

const MAIN = join(import.meta.dirname, 'cache-process-main.ts');

/** A cache in a process of its own, to be killed. */
export class CacheProcess {
  readonly port: number;
  /** From the start of the process to its first answer. */
  readonly readyMs: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(child: ChildProcess, ready: { readonly port: number; readonly readyMs: number }) {
    this.#child = child;
    this.port = ready.port;
    this.readyMs = ready.readyMs;
    this.#exited =
      child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve();
  }

  /** Starts a cache on the folder; `fail` is as for INGOT_FAIL, port 0 lets the system choose, `cacheBytes` is its limit. */
  static async start(data: string, { port = 0, fail = '', cacheBytes = '' } = {}): Promise<CacheProcess> {
    const child = spawn(process.execPath, [MAIN, data, String(port), fail, cacheBytes], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    return new CacheProcess(child, JSON.parse(line));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Resolves with the signal it died by. */
  async died(): Promise<NodeJS.Signals | null> {
    await this.#exited;
    return this.#child.signalCode;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

/** The hashes of all blobs on disk; throws when one is not what its name says. */
export async function verifiedBlobs(data: string): Promise<Set<string>> {
  return new Set((await storedBlobs(join(data, 'cache'))).keys());
}

/** What uploads have left behind. */
export async function incomingFiles(data: string): Promise<string[]> {
  return readdir(join(data, 'cache', 'incoming'));
}
