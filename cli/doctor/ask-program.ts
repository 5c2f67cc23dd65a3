import { isIngotError } from '../../core/error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { findProgram } from '../toolchain/find-program.ts';
import type { ProgramResult } from '../toolchain/run-program.ts';
import type { DoctorHost } from './doctor-host.ts';

/** Nothing a check asks for takes longer on a machine that works. */
const ASK_TIMEOUT_MS = 20_000;

/** A program of the machine and what it answered. */
export interface ProgramAnswer extends ProgramResult {
  readonly path: string;
}

/**
 * Runs a program found on PATH and returns its answer; undefined when it is
 * not there. One that hangs answers with no exit code.
 */
export async function askProgram(
  { environment, runProgram, signal }: DoctorHost,
  [name = '', ...args]: readonly string[],
): Promise<ProgramAnswer | undefined> {
  const path = await findProgram(name, environment.PATH);
  if (path === undefined) return undefined;
  try {
    const result = await runProgram([path, ...args], { environment, signal, timeoutMs: ASK_TIMEOUT_MS });
    return { ...result, path };
  } catch (error) {
    if (signal?.aborted || !isIngotError(error)) throw error;
    // Found a moment ago and now said not to be there: a script whose interpreter is missing.
    if (error.code === Code.NOT_FOUND) return undefined;
    return { exitCode: undefined, stdout: '', stderr: error.message, path };
  }
}

/** The first line that says something, for a finding's detail. */
export function firstLine({ stdout, stderr }: ProgramResult): string {
  return (
    `${stdout}\n${stderr}`
      .split('\n')
      .find((line) => line.trim() !== '')
      ?.trim() ?? 'it says nothing'
  );
}
