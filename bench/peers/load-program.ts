import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, 'load');

/** What the load program says of one row; see load/measure.go. */
export interface RowFigures {
  readonly row: string;
  readonly unit: 'calls/s' | 'MB/s';
  readonly rate: number;
  readonly calls: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  readonly mismatches: number;
  readonly firstError?: string;
  /** Processor time of a call, µs: of the server and its children, and of the load program. */
  readonly serverCpuUs: number;
  readonly clientCpuUs: number;
  /** What of all processors' time nobody used, from 0 to 1. */
  readonly idleShare: number;
}

/** `HOST:PORT` of what is asked. */
export interface LoadAddresses {
  readonly grpc?: string;
  /** With /cas on it. */
  readonly http?: string;
}

/** The load program, compiled into a folder of the run. */
export class LoadProgram {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Needs Go, and the module proxy the first time. */
  static async build(folder: string): Promise<LoadProgram> {
    const path = join(folder, 'load');
    await run('go', ['build', '-o', path, '.'], { cwd: SOURCE });
    return new LoadProgram(path);
  }

  /**
   * One pass of all rows over the addresses that are given; a row with errors is in the answer, a server that gave none
   * at all throws.
   */
  async measure(
    { grpc, http }: LoadAddresses,
    flags: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly RowFigures[]> {
    const args = [
      ...(grpc === undefined ? [] : ['-address', grpc]),
      ...(http === undefined ? [] : ['-http', http]),
      ...flags,
    ];
    const output = await run(this.#path, args, { signal }).catch((error) => {
      if (error.code === 1 && error.stdout !== '') return error as { stdout: string };
      throw error;
    });
    // None at all where no wanted row is for these addresses.
    return JSON.parse(output.stdout).rows ?? [];
  }
}
