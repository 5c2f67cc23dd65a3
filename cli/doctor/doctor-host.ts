import type { RunProgram } from '../toolchain/run-program.ts';

/** What the checks see of the machine; tests narrow it to a folder of programs of their own. */
export interface DoctorHost {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly runProgram: RunProgram;
  /** Undefined where there are no user ids. */
  readonly uid: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
