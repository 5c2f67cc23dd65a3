import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { IngotError, internal, unavailable } from '../../core/error.ts';
import type { Logger } from '../../core/log/logger.ts';
import { LauncherReply, LauncherRequest } from '../../proto/gen/ingot/v1/launcher.ts';
import { encodeFrame, readFrames } from './frame.ts';

/** What a request can be; see the proto. */
export type RequestContent = NonNullable<LauncherRequest['request']>;
export type ReplyContent = NonNullable<LauncherReply['reply']>;

export interface LauncherProcessOptions {
  readonly logger: Logger;
  /** Where Node keeps the launcher's compiled code; the process that compiles it is 20 MB larger for good. */
  readonly compileCacheFolder: string;
  /** Gives it a mount namespace of its own, in which it can show folders behind closed doors; needs root. */
  readonly ownMountNamespace: boolean;
}

const LAST_WORDS_CHARACTERS_MAX = 500;

type LauncherChild = ChildProcessByStdio<Writable, Readable, Readable>;

interface PendingRequest {
  readonly onReply: (reply: ReplyContent) => void;
  readonly resolve: () => void;
  readonly reject: (error: IngotError) => void;
}

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
/** For a process that waits for others and must be small to fork quickly: no compiler threads, garbage goes early. */
const NODE_FLAGS = [
  ...['--max-semi-space-size=1', '--single-threaded'],
  ...['--no-opt', '--no-maglev', '--no-sparkplug'],
];
/** A launcher has some 55 MB; one that had to compile itself 85. */
const STARTED_BYTES_MAX = 70 * 2 ** 20;
const PAGE_BYTES = 4096;

/**
 * One life of the launcher, seen from the agent: started, asked, and at its end every request under way fails with
 * UNAVAILABLE. See `proto/ingot/v1/launcher.proto` for the conversation.
 */
export class LauncherProcess {
  /** Resolves, with what is known of why, when the process is gone. */
  readonly exited: Promise<string>;
  readonly #child: LauncherChild;
  readonly #requests: Writable;
  readonly #pending = new Map<number, PendingRequest>();
  #nextId = 1;
  /** The last line it wrote to stderr. */
  #lastWords = '';
  #gone: IngotError | undefined;

  private constructor(child: LauncherChild, logger: Logger) {
    this.#child = child;
    this.#requests = child.stdin;
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => resolve(`it could not be started: ${error.message}`));
      // Not `exit`, which may come before the last words.
      child.once('close', (code, signal) => {
        const words = this.#lastWords === '' ? '' : ` (${this.#lastWords})`;
        resolve(`it ended with ${signal ?? `exit code ${code}`}${words}`);
      });
    }).then((reason) => {
      this.#fail(unavailable(`the launcher is gone: ${String(reason)}`));
      return String(reason);
    });
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.#lastWords = line.slice(0, LAST_WORDS_CHARACTERS_MAX);
      logger.warn({ line }, 'launcher says');
    });
    // A write to a launcher that has just died; `exited` tells of it.
    this.#requests.on('error', () => undefined);
    void this.#receive(child.stdout);
  }

  static async start({ logger, ...options }: LauncherProcessOptions): Promise<LauncherProcess> {
    // What is in there is run by root: whatever the umask, nobody else may write it.
    await mkdir(options.compileCacheFolder, { recursive: true, mode: 0o700 });
    const launcher = new LauncherProcess(launch(options), logger);
    if ((await launcher.#residentBytes()) <= STARTED_BYTES_MAX) return launcher;
    // New here, or another version than the last time: what it has compiled now, its successor finds ready.
    await launcher.close();
    return new LauncherProcess(launch(options), logger);
  }

  /** Its memory once it listens; 0 when it has died, of which the next request tells. */
  async #residentBytes(): Promise<number> {
    try {
      await this.request({ $case: 'endRun', value: { leaseKey: '' } });
      const [, pages] = (await readFile(`/proc/${this.#child.pid}/statm`, 'utf8')).split(' ');
      return Number(pages) * PAGE_BYTES;
    } catch {
      // Gone already.
      return 0;
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Sends a request; resolves after its last reply, of which `onReply` was told one by one. */
  request(content: RequestContent, onReply: (reply: ReplyContent) => void = () => undefined): Promise<void> {
    if (this.#gone !== undefined) return Promise.reject(this.#gone);
    const id = this.#nextId;
    this.#nextId = id === 0xffffffff ? 1 : id + 1;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { onReply, resolve, reject });
      try {
        this.#requests.write(encodeFrame(LauncherRequest.encode({ id, request: content }).finish()));
      } catch (error) {
        this.#pending.delete(id);
        reject(error);
      }
    });
  }

  /** Lets it go: it kills what it still runs, and ends. */
  async close(): Promise<void> {
    this.#requests.end();
    await this.exited;
  }

  /** Ends it at once; the kernel then ends what it runs. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #receive(replies: Readable): Promise<void> {
    try {
      for await (const frame of readFrames(replies)) this.#dispatch(LauncherReply.decode(frame));
    } catch (error) {
      this.#fail(unavailable('the launcher is gone: its pipe broke', { cause: error }));
      this.kill();
    }
  }

  #dispatch({ id, more, reply }: LauncherReply): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    if (!more) this.#pending.delete(id);
    if (reply === undefined) {
      pending.reject(internal('the launcher sent an empty reply'));
    } else if (reply.$case === 'error') {
      this.#pending.delete(id);
      pending.reject(new IngotError(reply.value.code as IngotError['code'], reply.value.message));
    } else {
      pending.onReply(reply);
      if (!more) pending.resolve();
    }
  }

  #fail(error: IngotError): void {
    this.#gone ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#gone);
    this.#pending.clear();
  }
}

function launch(options: Omit<LauncherProcessOptions, 'logger'>): LauncherChild {
  const node = [process.execPath, ...NODE_FLAGS, MAIN];
  const [file = '', ...args] = options.ownMountNamespace
    ? ['unshare', '--mount', '--propagation', 'private', '--', ...node, '--own-mount-namespace']
    : node;
  return spawn(file, args, {
    // Nothing of this process's environment: it may hold credentials.
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C',
      NODE_COMPILE_CACHE: options.compileCacheFolder,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
    // Not in the terminal's foreground group: Ctrl-C is for the agent, which drains first.
    detached: true,
  });
}
