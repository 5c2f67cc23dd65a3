import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { delay } from '../core/abort.ts';
import { internal, unavailable } from '../core/error.ts';
import type { Logger } from '../core/log/logger.ts';
import { findProgram, withSystemFolders } from './toolchain/find-program.ts';

/** A server that has not said its port by then does not start. It takes some 20 ms. */
const START_MS = 10_000;
const POLL_MS = 20;
/** How long a server may take to end after SIGTERM. */
const STOP_MS = 2_000;
/** Between restarts of a server that keeps dying. */
const RESTART_MS = 500;
/** What of its stderr is kept for an error message. */
const STDERR_BYTES_MAX = 4_096;

interface PrivateNatsOptions {
  /** The nats-server program. */
  readonly program: string;
  /** Where its configuration is written; a folder of its own is made in it. */
  readonly folder: string;
  /** PATH, to look for setpriv. */
  readonly path: string | undefined;
  readonly logger: Logger;
}

/**
 * A nats-server for this process alone: on loopback, on a port of the system's choice, with a token nobody else
 * has, nothing on disk but its configuration. States: starting; running; restarting, on the same port, after it
 * died; closed. It ends with this process, by kill -9 too, where setpriv is installed.
 */
export class PrivateNatsServer implements AsyncDisposable {
  readonly #options: PrivateNatsOptions;
  readonly #folder: string;
  readonly #token = randomBytes(24).toString('hex');
  #port = -1;
  #child: ChildProcess | undefined;
  #closed = false;

  private constructor(options: PrivateNatsOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
  }

  /** Starts it; resolves when it takes connections. */
  static async start(options: PrivateNatsOptions): Promise<PrivateNatsServer> {
    await mkdir(options.folder, { recursive: true });
    const server = new PrivateNatsServer(options, await mkdtemp(join(options.folder, 'nats-')));
    try {
      await server.#run();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** With the token in it: not for logs. */
  get url(): string {
    return `nats://${this.#token}@127.0.0.1:${this.#port}`;
  }

  /** Its process, for tests that kill it. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    const config = join(this.#folder, 'nats.conf');
    await writeFile(config, this.#config(), { mode: 0o600 });
    const { program, path } = this.#options;
    // The kernel then ends it with us, however we end; a server left behind would hold its port.
    const setpriv = await findProgram('setpriv', withSystemFolders(path));
    const command = setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL'];
    const [file = program, ...args] = [...command, program, '--config', config];
    // In a group of its own, a Ctrl-C at the terminal leaves it to us, who still need it to drain.
    const detached = setpriv !== undefined;
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], env: {}, detached });
    this.#child = child;
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_BYTES_MAX);
    });
    child.once('error', (error) => {
      stderr += error.message;
    });
    const port = await this.#readPort(child, () => stderr);
    this.#port = port;
    child.once('exit', (code, signal) => {
      if (this.#closed) return;
      this.#options.logger.warn({ code, signal, port }, 'private nats-server died, starting it again');
      void this.#restart();
    });
  }

  #config(): string {
    return [
      'host: "127.0.0.1"',
      `port: ${this.#port}`,
      `authorization { token: "${this.#token}" }`,
      `ports_file_dir: ${JSON.stringify(this.#folder)}`,
      '',
    ].join('\n');
  }

  async #readPort(child: ChildProcess, stderr: () => string): Promise<number> {
    const endMs = performance.now() + START_MS;
    while (performance.now() < endMs) {
      const [name] = (await readdir(this.#folder)).filter((entry) => entry.endsWith(`_${child.pid}.ports`));
      if (name !== undefined) {
        const port = portIn(await readFile(join(this.#folder, name), 'utf8'));
        if (port !== undefined) return port;
      }
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) break;
      await delay(POLL_MS);
    }
    child.kill('SIGKILL');
    throw unavailable(
      `start ${this.#options.program}: it did not say its port: ${stderr().trim() || 'no message'}`,
    );
  }

  async #restart(): Promise<void> {
    while (!this.#closed) {
      await delay(RESTART_MS);
      if (this.#closed) return;
      try {
        await this.#run();
        if (this.#closed) this.#child?.kill('SIGKILL');
        return;
      } catch (error) {
        this.#options.logger.error({ error }, 'private nats-server does not start');
      }
    }
  }
}

/** The port in a ports file, or undefined while it is being written. */
function portIn(text: string): number | undefined {
  let ports: { readonly nats?: readonly string[] };
  try {
    ports = JSON.parse(text);
  } catch {
    // Half written: the next look finds the rest.
    return undefined;
  }
  const port = Number(URL.parse(ports.nats?.[0] ?? '')?.port);
  if (!Number.isInteger(port) || port < 1)
    throw internal(`nats-server wrote a ports file without a port: ${text}`);
  return port;
}
