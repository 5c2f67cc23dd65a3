import { type ChildProcess, spawn } from 'node:child_process';
import { abortReason, linkedAbort } from '../../core/abort.ts';
import { deadlineExceeded, notFound, permissionDenied } from '../../core/error.ts';

/** What is kept of each output; the end is what matters of a long one. */
const OUTPUT_CHARACTERS_MAX = 256 * 1024;
/** Between the polite signal and the one that cannot be refused. */
const KILL_DELAY_MS = 2_000;

/** How a program is started by {@link runProgram}. */
export interface ProgramOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly folder?: string;
  readonly signal?: AbortSignal | undefined;
  /** DEADLINE_EXCEEDED after this long. */
  readonly timeoutMs: number;
}

/** How a program ended. */
export interface ProgramResult {
  /** 128 + the signal's number is not used: a program ended by a signal has undefined here. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without input to its end; a parameter wherever the programs of this machine matter to a test. */
export type RunProgram = (argv: readonly string[], options: ProgramOptions) => Promise<ProgramResult>;

/**
 * Runs a program to its end in a process group of its own, which is ended as a whole when the signal aborts. Any
 * exit code is a result. NOT_FOUND when there is no such program.
 */
export const runProgram: RunProgram = async (argv, options) => {
  const [file = '', ...rest] = argv;
  using abort = linkedAbort(options.signal, {
    timeoutMs: options.timeoutMs,
    timeoutError: deadlineExceeded(`run ${file}: not finished within ${options.timeoutMs} ms`),
  });
  if (abort.signal.aborted) throw abortReason(abort.signal);

  const child = spawn(file, rest, {
    cwd: options.folder,
    env: options.environment as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const stdout = keepEnd(child.stdout);
  const stderr = keepEnd(child.stderr);
  const exitCode = await ended(child, file, abort.signal);
  return { exitCode, stdout: stdout(), stderr: stderr() };
};

async function ended(child: ChildProcess, file: string, signal: AbortSignal): Promise<number | undefined> {
  const end = Promise.withResolvers<number | undefined>();
  child.on('error', (error: NodeJS.ErrnoException) => end.reject(startError(error, file)));
  // `close` comes after the last byte of both outputs.
  child.on('close', (code) => end.resolve(code ?? undefined));

  let killTimer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    killGroup(child, 'SIGTERM');
    killTimer = setTimeout(() => killGroup(child, 'SIGKILL'), KILL_DELAY_MS);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const exitCode = await end.promise;
    if (signal.aborted) throw abortReason(signal);
    return exitCode;
  } finally {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(killTimer);
  }
}

function startError(error: NodeJS.ErrnoException, file: string): Error {
  if (error.code === 'ENOENT') return notFound(`run ${file}: no such program`, { cause: error });
  if (error.code === 'EACCES') return permissionDenied(`run ${file}: not allowed`, { cause: error });
  return error;
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // The group has ended between the decision and the signal: what was wanted.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function keepEnd(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    text = (text + chunk).slice(-OUTPUT_CHARACTERS_MAX);
  });
  return () => text;
}
