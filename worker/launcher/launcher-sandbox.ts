import assert from 'node:assert/strict';
import { internal, unavailable } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import type {
  CollectOutputs,
  ConfigureLauncher,
  InputEntry,
  LauncherReady,
  OutputEntry,
  RunCommand,
  RunEnded,
} from '../../proto/gen/ingot/v1/launcher.ts';
import type { Sandbox, SandboxPlace } from '../sandbox/sandbox.ts';
import type { LauncherProcess, ReplyContent, RequestContent } from './launcher-process.ts';

/** Waits before the first, second, … start after a death; the last one repeats. */
const RESTART_DELAYS_MS = [0, 200, 1000, 5000];
/** Entries sent in one frame; about 1 MB, and 30 ms of the launcher's time. */
const ENTRIES_PER_REQUEST = 2000;
/** A launcher that lived this long is well; the next death counts as the first again. */
const WELL_AFTER_MS = 60_000;

export interface LauncherSandboxOptions {
  readonly logger: Logger;
  readonly configuration: ConfigureLauncher;
  /** Starts a launcher; called again after each death. */
  readonly startProcess: () => Promise<LauncherProcess>;
  /** Told when the launcher dies (with the reason) and when another one is ready (undefined). */
  readonly onHealth: (unhealthyReason: string | undefined) => void;
}

/**
 * The sandbox as the agent uses it: a launcher process, started again when it dies. States: starting; ready; down,
 * until the next start succeeds, with every call UNAVAILABLE; closed.
 */
export class LauncherSandbox implements Sandbox, AsyncDisposable {
  readonly #options: LauncherSandboxOptions;
  #process: LauncherProcess | undefined;
  #deaths = 0;
  #restart: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: LauncherSandboxOptions) {
    this.#options = options;
  }

  /** Starts the first launcher; its error says what this machine lacks. */
  async start(): Promise<LauncherReady> {
    assert(this.#process === undefined && !this.#closed, 'a launcher sandbox is started once');
    return await this.#enterReady();
  }

  async addInputs(
    { leaseKey, slot }: SandboxPlace,
    entries: readonly InputEntry[],
    _options: IoOptions = {},
  ): Promise<void> {
    // An empty list is sent too: it makes an empty input root.
    for (let start = 0; start === 0 || start < entries.length; start += ENTRIES_PER_REQUEST) {
      const part = entries.slice(start, start + ENTRIES_PER_REQUEST);
      await this.#ask({ $case: 'addInputs', value: { leaseKey, slot, entries: part } });
    }
  }

  async run(command: RunCommand, { signal }: IoOptions = {}): Promise<RunEnded> {
    const end = (): void => {
      // A launcher that is gone has ended it already.
      this.#ask({ $case: 'endRun', value: { leaseKey: command.leaseKey } }).catch(() => undefined);
    };
    let ended: RunEnded | undefined;
    const running = this.#ask({ $case: 'run', value: command }, (reply) => {
      if (reply.$case === 'runEnded') ended = reply.value;
    });
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted) end();
    try {
      await running;
    } finally {
      signal?.removeEventListener('abort', end);
    }
    if (ended === undefined) throw internal('the launcher did not say how the command ended');
    return ended;
  }

  async collect(request: CollectOutputs, _options: IoOptions = {}): Promise<OutputEntry[]> {
    const entries: OutputEntry[] = [];
    await this.#ask({ $case: 'collect', value: request }, (reply) => {
      if (reply.$case === 'outputs') entries.push(...reply.value.entries);
    });
    return entries;
  }

  async remove(leaseKey: string): Promise<void> {
    await this.#ask({ $case: 'remove', value: { leaseKey } });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#restart);
    const process = this.#process;
    this.#process = undefined;
    await process?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The launcher's pid; for tests that kill it. */
  get launcherPid(): number | undefined {
    return this.#process?.pid;
  }

  async #enterReady(): Promise<LauncherReady> {
    const process = await this.#options.startProcess();
    let ready: LauncherReady | undefined;
    try {
      await process.request({ $case: 'configure', value: this.#options.configuration }, (reply) => {
        if (reply.$case === 'ready') ready = reply.value;
      });
    } catch (error) {
      process.kill();
      throw error;
    }
    if (ready === undefined) throw internal('the launcher did not say that it is ready');
    if (this.#closed) {
      await process.close();
      throw unavailable('the sandbox is closed');
    }
    this.#process = process;
    const startMs = performance.now();
    void process.exited.then((reason) => {
      if (this.#process !== process) return;
      if (performance.now() - startMs > WELL_AFTER_MS) this.#deaths = 0;
      this.#enterDown(reason);
    });
    return ready;
  }

  #enterDown(reason: string): void {
    this.#process = undefined;
    const delayMs = RESTART_DELAYS_MS[Math.min(this.#deaths, RESTART_DELAYS_MS.length - 1)];
    this.#deaths += 1;
    this.#options.logger.error({ reason, deaths: this.#deaths }, 'launcher died');
    this.#options.onHealth(`the launcher died: ${reason}`);
    this.#restart = setTimeout(() => {
      this.#enterReady().then(
        () => this.#options.onHealth(undefined),
        (error: unknown) => {
          if (!this.#closed) this.#enterDown(`it cannot be started: ${String(error)}`);
        },
      );
    }, delayMs);
  }

  async #ask(request: RequestContent, onReply?: (reply: ReplyContent) => void): Promise<void> {
    if (this.#process === undefined) throw unavailable('the launcher is down');
    await this.#process.request(request, onReply);
  }
}
