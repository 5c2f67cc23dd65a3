import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 5_000;

export interface NatsServerOptions {
  /** Extra lines of the server's configuration file. */
  readonly config?: string;
  /** Default: one the system chooses. */
  readonly port?: number;
}

/**
 * A real nats-server on loopback. Held with `await using`; `stop`, `kill` and `start` take it down and bring it
 * back on the same port.
 */
export class NatsServer implements AsyncDisposable {
  readonly #directory: string;
  readonly #config: string;
  #port: number;
  #process: ChildProcess | undefined;

  private constructor(directory: string, { config = '', port = 0 }: NatsServerOptions) {
    this.#directory = directory;
    this.#config = config;
    this.#port = port;
  }

  /** Starts one, and resolves when it accepts connections. */
  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const server = new NatsServer(await mkdtemp(join(tmpdir(), 'ingot-nats-')), options);
    await server.start();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    assert(this.#process?.pid !== undefined, 'nats-server is not running');
    return this.#process.pid;
  }

  /** Starts it again after `stop` or `kill`, on the port it had. */
  async start(): Promise<void> {
    assert(this.#process === undefined, 'nats-server runs already');
    const configFile = join(this.#directory, 'nats.conf');
    // A port of -1 means one the server chooses; the ports file says which.
    await writeFile(
      configFile,
      `listen: "127.0.0.1:${this.#port === 0 ? -1 : this.#port}"\nports_file_dir: "${this.#directory}"\n${this.#config}\n`,
    );
    const child = spawn(findNatsServer(), ['-c', configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await this.#listening())) {
      if (child.exitCode !== null || Date.now() > deadline) {
        await this.#end('SIGKILL');
        throw new Error(`nats-server did not start:\n${log}`);
      }
      await sleep(10);
    }
  }

  /** Ends it as an operator would. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Freezes it: connections stay open and nothing answers. Undone by {@link resume}. */
  pause(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('SIGKILL');
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #listening(): Promise<boolean> {
    if (this.#port === 0) this.#port = await this.#chosenPort();
    if (this.#port === 0) return false;
    const socket = connect(this.#port, '127.0.0.1');
    try {
      // The server speaks first, and says who it is.
      const [greeting] = await once(socket, 'data');
      return String(greeting).startsWith('INFO ');
    } catch {
      // Not up yet; the caller looks again until its deadline.
      return false;
    } finally {
      socket.destroy();
    }
  }

  async #chosenPort(): Promise<number> {
    try {
      const text = await readFile(join(this.#directory, `nats-server_${this.pid}.ports`), 'utf8');
      return Number(new URL(JSON.parse(text).nats[0]).port);
    } catch {
      // Not written yet, or only in part.
      return 0;
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(killer);
  }
}

/** Path of the program; throws with the command that installs it. Debian puts it where users' PATH does not look. */
export function findNatsServer(): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin'];
  for (const folder of folders) {
    const file = join(folder, 'nats-server');
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder; the next one is tried.
    }
  }
  throw new Error('nats-server is not installed; on Debian: apt-get install -y nats-server');
}
