import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findVersitygw } from './versitygw-program.ts';
import { waitUntil } from './wait-until.ts';

const STOP_MS = 5_000;
/** Credentials of the test's own server. */
const ACCESS_KEY = 'tests';
const SECRET_KEY = 'tests-of-the-tier';

/** Of what a server is made. */
export interface VersitygwOptions {
  /** Where the objects are; default: a folder of its own, removed with it. */
  readonly folder?: string;
}

/**
 * A real S3 server on loopback with one bucket, its objects files in a folder that a test can look into. Held with
 * `await using`; `kill`, `pause` and `start` break and mend it on the same port.
 */
export class Versitygw implements AsyncDisposable {
  readonly bucket = 'farm';
  /** Where the AWS SDK looks for credentials. */
  static readonly environment = { AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY };
  readonly #folder: string;
  readonly #isOwn: boolean;
  readonly #port: number;
  #process: ChildProcess | undefined;

  private constructor(folder: string, isOwn: boolean, port: number) {
    this.#folder = folder;
    this.#isOwn = isOwn;
    this.#port = port;
  }

  static async start({ folder }: VersitygwOptions = {}): Promise<Versitygw> {
    const top = folder ?? (await mkdtemp(join(tmpdir(), 'ingot-s3-')));
    const server = new Versitygw(top, folder === undefined, await freePort());
    await mkdir(join(top, server.bucket), { recursive: true });
    await server.start();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The file of an object. */
  path(key: string): string {
    return join(this.#folder, this.bucket, key);
  }

  /** Bytes of an object's file, or undefined when there is none. */
  async sizeOf(key: string): Promise<number | undefined> {
    return await stat(this.path(key)).then(
      ({ size }) => size,
      () => undefined,
    );
  }

  /** Starts it again after `kill`. */
  async start(): Promise<void> {
    assert(this.#process === undefined, 'versitygw runs already');
    const program = findVersitygw();
    assert(program !== undefined, 'versitygw is not built: node test/setup/install.ts');
    const child = spawn(program, ['--port', `127.0.0.1:${this.#port}`, '--quiet', 'posix', this.#folder], {
      env: { ...process.env, ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    await waitUntil('versitygw to listen', async () => {
      assert(child.exitCode === null, `versitygw ended:\n${log}`);
      return await accepts(this.#port);
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]);
  }

  /** Freezes it: connections stay open and nothing answers. Undone by {@link resume}. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#isOwn) await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    // Not up yet; the caller looks again.
    return false;
  } finally {
    socket.destroy();
  }
}
