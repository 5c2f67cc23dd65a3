import { failedPrecondition, isIngotError, unavailable } from '../../core/error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { HintedError } from '../hinted-error.ts';
import type { ProgramResult, RunProgram } from './run-program.ts';

/** A download of 130 MB at a tenth of a megabyte a second. */
const DOWNLOAD_TIMEOUT_MS = 25 * 60_000;
const UNPACK_TIMEOUT_MS = 5 * 60_000;
const CHECK_TIMEOUT_MS = 60_000;
/** How much of pip's own words goes into an error message. */
const ERROR_LINES_MAX = 4;

/** Taken over a person's settings where these would make a plain download or install into a folder impossible. */
const PIP_SETTINGS = {
  PIP_DISABLE_PIP_VERSION_CHECK: '1',
  PIP_NO_INPUT: '1',
  PIP_PROGRESS_BAR: 'off',
  PIP_REQUIRE_VIRTUALENV: '0',
  PIP_ROOT_USER_ACTION: 'ignore',
  PIP_USER: '0',
  PYTHONDONTWRITEBYTECODE: '1',
} as const;

interface PipClientOptions {
  readonly runProgram: RunProgram;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Default `python3`. */
  readonly python?: string;
}

interface PipCallOptions {
  /** Where pip keeps what it is working on. */
  readonly temporaryFolder: string;
  readonly signal: AbortSignal | undefined;
}

/** The machine's own `python3 -m pip`, with whatever index and proxy it is set up for. Never changes Python's own tree. */
export class PipClient {
  readonly #runProgram: RunProgram;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  readonly #python: string;

  constructor({ runProgram, environment, python = 'python3' }: PipClientOptions) {
    this.#runProgram = runProgram;
    this.#environment = { ...environment, ...PIP_SETTINGS };
    this.#python = python;
  }

  /** FAILED_PRECONDITION, with the command that helps, when Python or pip is missing. */
  async check({ signal }: { readonly signal: AbortSignal | undefined }): Promise<void> {
    let result: ProgramResult;
    try {
      result = await this.#runProgram([this.#python, '-m', 'pip', '--version'], {
        environment: this.#environment,
        signal,
        timeoutMs: CHECK_TIMEOUT_MS,
      });
    } catch (error) {
      if (!isIngotError(error, Code.NOT_FOUND)) throw error;
      throw new HintedError(
        failedPrecondition(`look for pip: no ${this.#python} on this machine`),
        'apt-get install --no-install-recommends python3 python3-pip',
      );
    }
    if (result.exitCode === 0) return;
    throw new HintedError(
      failedPrecondition(`look for pip: ${this.#python} has no pip module`),
      'apt-get install --no-install-recommends python3-pip',
    );
  }

  /** Brings the wheels that a requirements file names into a folder. UNAVAILABLE, with pip's reason, when it cannot. */
  async download(
    requirementsFile: string,
    wheelsFolder: string,
    { temporaryFolder, signal }: PipCallOptions,
  ): Promise<void> {
    const options = ['--only-binary=:all:', '--dest', wheelsFolder, '--requirement', requirementsFile];
    const result = await this.#pip(['download', ...options], temporaryFolder, DOWNLOAD_TIMEOUT_MS, signal);
    if (result.exitCode !== 0) throw unavailable(`download with pip: ${reasonOf(result)}`);
  }

  /** Unpacks wheels into a folder, without looking at any index. */
  async unpack(
    wheels: readonly string[],
    folder: string,
    { temporaryFolder, signal }: PipCallOptions,
  ): Promise<void> {
    const options = ['--no-index', '--no-deps', '--no-compile', '--target', folder, ...wheels];
    const result = await this.#pip(['install', ...options], temporaryFolder, UNPACK_TIMEOUT_MS, signal);
    if (result.exitCode !== 0) throw failedPrecondition(`unpack with pip: ${reasonOf(result)}`);
  }

  async #pip(
    args: readonly string[],
    temporaryFolder: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<ProgramResult> {
    return this.#runProgram([this.#python, '-m', 'pip', ...args], {
      environment: { ...this.#environment, TMPDIR: temporaryFolder },
      signal,
      timeoutMs,
    });
  }
}

function reasonOf({ exitCode, stdout, stderr }: ProgramResult): string {
  const lines = `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '');
  const errors = lines
    .filter((line) => line.startsWith('ERROR:'))
    .map((line) => line.slice('ERROR:'.length).trim());
  const words = (errors.length > 0 ? errors : lines).slice(-ERROR_LINES_MAX).join('; ');
  return words === '' ? `pip ended with exit code ${exitCode}` : words;
}
