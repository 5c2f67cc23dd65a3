import { closeSync, constants, fchownSync, openSync } from 'node:fs';
import { unavailable } from '../../core/error.ts';
import {
  type RunCommand,
  type RunEnded,
  RunEnded_Termination as Termination,
} from '../../proto/gen/ingot/v1/launcher.ts';
import { timestampOf } from '../wire-time.ts';
import type { Cgroup } from './cgroup.ts';
import { preparedCommandLine } from './command-line.ts';
import { CommandRun, type CommandRunResult } from './command-run.ts';
import { readExecComplaint } from './exec-complaint.ts';
import type { Owner } from './input-root.ts';
import { type LauncherSetup, slotGroupPrefix } from './launcher-setup.ts';
import type { LeaseFolder } from './lease-folder.ts';
import { resourceUsageOf } from './resource-usage.ts';
import { sandboxCommandLine } from './sandbox-command-line.ts';
import { systemError } from './system-error.ts';

/** As a shell gives the death by SIGKILL. */
const KILLED_EXIT_CODE = 137;

/** The run of one lease's command with all that is around it: output files, control group, system call filter. */
export class LeaseRun {
  readonly #setup: LauncherSetup;
  readonly #request: RunCommand;
  readonly #folder: LeaseFolder;
  #command: CommandRun | undefined;
  #ended = false;

  constructor(setup: LauncherSetup, request: RunCommand, folder: LeaseFolder) {
    this.#setup = setup;
    this.#request = request;
    this.#folder = folder;
  }

  /** Resolves when every process of it is dead. */
  async run(): Promise<RunEnded> {
    using files = new DisposableStack();
    const open = (path: string, flags: number, mode = 0o600): number => {
      const fd = openSync(path, flags, mode);
      files.defer(() => closeSync(fd));
      return fd;
    };
    let cgroup: Cgroup | undefined;
    try {
      const stdoutFd = this.#openStream(open, this.#folder.stdout);
      const stderrFd = this.#openStream(open, this.#folder.stderr);
      const { seccompFile } = this.#setup;
      const seccompFd = seccompFile === undefined ? undefined : open(seccompFile, constants.O_RDONLY);
      cgroup = this.#makeCgroup();
      this.#command = this.#prepare({ stdoutFd, stderrFd, seccompFd, cgroup });
      if (this.#ended) throw unavailable('run the command: it was ended before it began');
      const startedMs = Date.now();
      const result = await this.#command.run();
      return this.#report(result, startedMs, stderrFd, cgroup);
    } catch (error) {
      throw systemError(error, 'run the command');
    } finally {
      cgroup?.remove();
    }
  }

  /** Ends the command early, with the grace the request names. */
  end(): void {
    this.#ended = true;
    this.#command?.end(Termination.CANCELLED);
  }

  /** Ends it at once, as when the launcher itself must go. */
  kill(): void {
    this.#ended = true;
    this.#command?.kill();
  }

  #openStream(open: (path: string, flags: number, mode: number) => number, path: string): number {
    const { O_RDWR, O_CREAT, O_EXCL, O_APPEND } = constants;
    const fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0o600);
    // The action's own, so that it can open /dev/stdout and /dev/stderr.
    const owner = this.#owner();
    if (owner !== undefined) fchownSync(fd, owner.userId, owner.groupId);
    return fd;
  }

  #makeCgroup(): Cgroup | undefined {
    const { memoryBytes = 0, cpuMillis = 0, pids = 0 } = this.#request.limits ?? {};
    const name = slotGroupPrefix(this.#owner(), this.#request.slot) + this.#request.leaseKey;
    return this.#setup.cgroups?.create(name, { memoryBytes, cpuMillis, pids });
  }

  #prepare(open: {
    stdoutFd: number;
    stderrFd: number;
    seccompFd: number | undefined;
    cgroup: Cgroup | undefined;
  }): CommandRun {
    const { limits, timeoutMs, killGraceMs } = this.#request;
    const { commandLine, workingFolder } = sandboxCommandLine(this.#setup, this.#request, this.#folder);
    return new CommandRun({
      ...open,
      commandLine: preparedCommandLine(commandLine, {
        joinFiles: open.cgroup?.joinFiles ?? [],
        fileBytes: limits?.fileBytes ?? 0,
        userPids: this.#setup.pidsByUser ? (limits?.pids ?? 0) : 0,
      }),
      workingFolder,
      sandboxed: this.#setup.bwrap !== undefined,
      timeoutMs,
      killGraceMs,
      streamBytesMax: limits?.streamBytes ?? 0,
    });
  }

  #report(
    result: CommandRunResult,
    startedMs: number,
    stderrFd: number,
    cgroup: Cgroup | undefined,
  ): RunEnded {
    const usage = cgroup?.usage() ?? {};
    let { termination, exitCode } = result;
    let message = '';
    // The command's own 1 comes with bwrap's word that it exited; a 1 without it means that it never began.
    if (exitCode === undefined && termination === Termination.EXITED && result.spawnedExitCode === 1) {
      ({ exitCode, message } = readExecComplaint(stderrFd));
      termination = Termination.NOT_STARTED;
    }
    if (exitCode === undefined && termination === Termination.EXITED && !usage.oomKills) {
      throw unavailable(
        `run the command: the sandbox was killed from outside (exit code ${result.spawnedExitCode ?? 'none'})`,
      );
    }
    return {
      termination,
      exitCode: exitCode ?? KILLED_EXIT_CODE,
      message,
      started: timestampOf(startedMs),
      ended: timestampOf(startedMs + result.durationMs),
      durationUs: Math.round(result.durationMs * 1000),
      usage: resourceUsageOf(this.#setup, usage, termination),
    };
  }

  #owner(): Owner | undefined {
    return this.#setup.owners[this.#request.slot];
  }
}
