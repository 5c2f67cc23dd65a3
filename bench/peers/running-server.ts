import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Contestant } from './contestant.ts';
import type { LoadAddresses } from './load-program.ts';

/** A server that is not listening by then does not start. */
const START_MS = 60_000;
const POLL_MS = 100;
/** A server that was told to stop and did not is killed. */
const STOP_MS = 15_000;
/** Kept of what a server writes, for the error when it does not start. */
const OUTPUT_CHARS_MAX = 4000;

/** One server under test, in a folder of its own; disposing of it ends the process and removes the folder. */
export class RunningServer implements AsyncDisposable {
  /** What it is asked on. */
  readonly addresses: LoadAddresses;
  readonly #child: ChildProcess;
  readonly #folder: string;
  #output = '';

  private constructor(child: ChildProcess, folder: string, addresses: LoadAddresses) {
    this.#child = child;
    this.#folder = folder;
    this.addresses = addresses;
    const keep = (text: string) => {
      this.#output = (this.#output + text).slice(-OUTPUT_CHARS_MAX);
    };
    child.stdout?.setEncoding('utf8').on('data', keep);
    child.stderr?.setEncoding('utf8').on('data', keep);
    child.on('error', (error) => keep(`${error.message}\n`));
  }

  static async start(
    contestant: Contestant,
    dataFolder: string,
    signal: AbortSignal,
  ): Promise<RunningServer> {
    const folder = await mkdtemp(join(dataFolder, `${contestant.name}-`));
    const [grpcAddress, httpAddress] = [await freeAddress(), await freeAddress()];
    const [program = '', ...args] = await contestant.command({ folder, grpcAddress, httpAddress });
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal });
    const { speaks } = contestant;
    const server = new RunningServer(child, folder, {
      ...(speaks.includes('grpc') && { grpc: grpcAddress }),
      ...(speaks.includes('http') && { http: httpAddress }),
    });
    try {
      for (const address of Object.values(server.addresses)) await server.#listening(address, signal);
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  /** Of the process that was started, which may have children. */
  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${this.#child.spawnfile} was not started`);
    return pid;
  }

  /** The most memory it was ever seen to hold, its child processes included. */
  async peakBytes(): Promise<number> {
    return peakBytesOf(this.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
      await exited;
      clearTimeout(timer);
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  get #running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async #listening(address: string, signal: AbortSignal): Promise<void> {
    for (const endMs = performance.now() + START_MS; performance.now() < endMs; ) {
      if (await accepts(address)) return;
      if (!this.#running) break;
      await sleep(POLL_MS, undefined, { signal });
    }
    throw new Error(`${this.#child.spawnfile} does not listen on ${address}:\n${this.#output}`);
  }
}

async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error(`expected a TCP address: ${address}`);
  return `127.0.0.1:${address.port}`;
}

function accepts(address: string): Promise<boolean> {
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}

async function peakBytesOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  let bytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  for (const child of children.split(' ').filter(Boolean)) bytes += await peakBytesOf(Number(child));
  return bytes;
}
