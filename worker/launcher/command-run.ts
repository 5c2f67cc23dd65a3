import { type ChildProcess, spawn } from 'node:child_process';
import { fstatSync, ftruncateSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { IngotError } from '../../core/error.ts';
import { startTimer } from '../../core/timer.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { RunEnded_Termination as Termination } from '../../proto/gen/ingot/v1/launcher.ts';
import type { Cgroup } from './cgroup.ts';
import type { CommandLine } from './command-line.ts';
import { descendantsOf, isRunning, signalProcess } from './process-tree.ts';
import { SandboxStatus } from './sandbox-status.ts';
import { systemError } from './system-error.ts';

/** How often the sizes of stdout and stderr are looked at. A program writes some 100 MB in that time. */
const STREAM_CHECK_MS = 50;
/** The kernel ends a killed process within milliseconds, unless it waits for a disk or a driver that is gone. */
const DEATH_MS = 10_000;
/** As a shell gives the death by a signal. */
const SIGNAL_EXIT_CODE = 128;
/** Where the command line finds its descriptors. */
export const SECCOMP_FD = 3;
export const STATUS_FD = 4;

export interface CommandRunOptions {
  readonly commandLine: CommandLine;
  readonly workingFolder: string;
  readonly stdoutFd: number;
  readonly stderrFd: number;
  /** Undefined without a filter. */
  readonly seccompFd: number | undefined;
  /** True when bwrap starts the command and tells of it. */
  readonly sandboxed: boolean;
  readonly cgroup: Cgroup | undefined;
  readonly timeoutMs: number;
  readonly killGraceMs: number;
  /** 0 for no limit. */
  readonly streamBytesMax: number;
  /** How long dead processes may take to vanish; default 10 s. */
  readonly deathMs?: number;
}

/** Processes of an action are stuck in the kernel: their user and what they hold open must not be used again. */
export class ProcessesRemain extends IngotError {}

/** How a run ended. */
export interface CommandRunResult {
  readonly termination: Termination;
  /** Of the command; undefined when bwrap never got as far, or was killed. */
  readonly exitCode: number | undefined;
  /** Of the process that was spawned. */
  readonly spawnedExitCode: number | null;
  readonly durationMs: number;
}

/**
 * One command from spawn to the death of its last process. States: running; ending (after SIGTERM to every process,
 * until the grace is over); killed; over. Whoever ends it first gives the one termination reason.
 */
export class CommandRun {
  readonly #options: CommandRunOptions;
  #child: ChildProcess | undefined;
  #status: SandboxStatus | undefined;
  #termination: Termination | undefined;
  #cancelKill: () => void = () => undefined;

  constructor(options: CommandRunOptions) {
    this.#options = options;
  }

  /** INTERNAL when it cannot be started; {@link ProcessesRemain} when it cannot be ended. */
  async run(): Promise<CommandRunResult> {
    const { timeoutMs, sandboxed } = this.#options;
    const startMs = performance.now();
    const exited = this.#spawn();
    const cancelTimeout = startTimer(timeoutMs, () => this.end(Termination.TIMED_OUT));
    const streamCheck = setInterval(() => this.#checkStreams(), STREAM_CHECK_MS);
    try {
      const spawnedExitCode = await exited;
      const durationMs = performance.now() - startMs;
      await this.#everyProcessDead();
      if (this.#cutStreams()) this.#termination ??= Termination.OUTPUT_LIMIT;
      return {
        termination: this.#termination ?? Termination.EXITED,
        exitCode: sandboxed ? this.#status?.exitCode : (spawnedExitCode ?? undefined),
        spawnedExitCode,
        durationMs,
      };
    } catch (error) {
      throw systemError(error, 'run the command');
    } finally {
      cancelTimeout();
      this.#cancelKill();
      clearInterval(streamCheck);
    }
  }

  /** Ends it, for the reason given unless there is one already: SIGTERM, and SIGKILL when the grace is over. */
  end(reason: Termination): void {
    if (this.#termination !== undefined || !this.#alive()) return;
    this.#termination = reason;
    if (reason === Termination.OUTPUT_LIMIT) {
      this.kill();
      return;
    }
    for (const pid of this.#pids()) signalProcess(pid, 'SIGTERM');
    this.#cancelKill = startTimer(this.#options.killGraceMs, () => this.kill());
  }

  /** Ends every process at once, as when the launcher itself must go. */
  kill(): void {
    if (!this.#alive()) return;
    if (this.#status?.initPid !== undefined) signalProcess(this.#status.initPid, 'SIGKILL');
    const pid = this.#child?.pid;
    if (pid !== undefined) signalProcess(this.#options.sandboxed ? pid : -pid, 'SIGKILL');
    this.#options.cgroup?.killAll();
  }

  /** False before the spawn and after the exit, when the pid may be another process's. */
  #alive(): boolean {
    return this.#child?.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The command's processes, without bwrap's own, which would take the sandbox down before the grace is over. */
  #pids(): number[] {
    const { sandboxed } = this.#options;
    const top = sandboxed ? this.#status?.initPid : this.#child?.pid;
    if (top === undefined) return this.#child?.pid === undefined ? [] : [this.#child.pid];
    return sandboxed ? descendantsOf(top) : [top, ...descendantsOf(top)];
  }

  #spawn(): Promise<number | null> {
    const { commandLine, workingFolder, sandboxed, stdoutFd, stderrFd, seccompFd } = this.#options;
    try {
      const child = spawn(commandLine.file, commandLine.arguments, {
        cwd: workingFolder,
        env: { ...commandLine.environment },
        // A group of its own, to be killed as one where there is no pid namespace.
        detached: !sandboxed,
        stdio: ['ignore', stdoutFd, stderrFd, seccompFd ?? 'ignore', sandboxed ? 'pipe' : 'ignore'],
      });
      this.#child = child;
      const status = child.stdio[STATUS_FD];
      if (status instanceof Readable) this.#status = new SandboxStatus(status);
      return new Promise((resolve, reject) => {
        child.once('error', (error) => reject(systemError(error, 'start the command')));
        child.once('exit', (code, signal) => {
          // Of a bwrap that was killed nothing is known of the command; without one, it is the command.
          resolve(sandboxed || signal === null ? code : SIGNAL_EXIT_CODE + constants.signals[signal]);
        });
      });
    } catch (error) {
      throw systemError(error, 'start the command');
    }
  }

  /**
   * When bwrap exits, the sandbox's first process is just being killed, and with it the rest; outputs may only be
   * looked at when that is done. A zombie has closed all it had.
   */
  async #everyProcessDead(): Promise<void> {
    const { cgroup, sandboxed, deathMs = DEATH_MS } = this.#options;
    const group = this.#child?.pid;
    if (!sandboxed && group !== undefined) signalProcess(-group, 'SIGKILL');
    // Before bwrap has told all it knows, the pid of its first process may not have been read yet.
    await Promise.race([this.#status?.ended, pause(deathMs, undefined, { ref: false })]);
    const deadlineMs = performance.now() + deathMs;
    for (;;) {
      const initPid = this.#status?.initPid;
      const members = cgroup?.members().filter(isRunning) ?? [];
      if (members.length === 0 && (initPid === undefined || !isRunning(initPid))) return;
      if (performance.now() > deadlineMs) {
        throw new ProcessesRemain(
          Code.UNAVAILABLE,
          `end the command: ${members.length || 1} of its processes did not die within ${deathMs} ms`,
        );
      }
      cgroup?.killAll();
      await pause(1);
    }
  }

  #checkStreams(): void {
    if (this.#oversized().length > 0) this.end(Termination.OUTPUT_LIMIT);
  }

  #oversized(): { readonly fd: number; readonly name: string }[] {
    const { stdoutFd, stderrFd, streamBytesMax } = this.#options;
    if (streamBytesMax === 0) return [];
    const streams = [
      { fd: stdoutFd, name: 'stdout' },
      { fd: stderrFd, name: 'stderr' },
    ];
    return streams.filter(({ fd }) => fstatSync(fd).size > streamBytesMax);
  }

  /** True when one was over its limit; it then ends in a line that says so. */
  #cutStreams(): boolean {
    const oversized = this.#oversized();
    for (const { fd, name } of oversized) {
      ftruncateSync(fd, this.#options.streamBytesMax);
      writeSync(
        fd,
        `\n[ingot: ${name} was cut here, at its limit of ${this.#options.streamBytesMax} bytes]\n`,
      );
    }
    return oversized.length > 0;
  }
}
