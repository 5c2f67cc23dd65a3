import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { Status } from '../../proto/gen/google/rpc/status.ts';
import {
  type RunEnded,
  type RunLimits,
  RunEnded_Termination as Termination,
} from '../../proto/gen/ingot/v1/launcher.ts';

/** What a run's end means to the client. */
export interface RunVerdict {
  /** Undefined: it ran to its end, whatever the exit code. */
  readonly status: Status | undefined;
  /** For people; always set. */
  readonly message: string;
  /** Not empty: the result must not be kept. */
  readonly uncacheableReason: string;
}

export interface RunVerdictOptions {
  readonly workerId: string;
  readonly timeoutMs: number;
  readonly limits: RunLimits;
}

const MIB = 1024 * 1024;

/**
 * Judges a run. A process killed for want of memory spoils it even when the command exits with 0, since nobody looked
 * at what was lost. A limit that was hit is named in the status.
 */
export function judgeRun(ended: RunEnded, { workerId, timeoutMs, limits }: RunVerdictOptions): RunVerdict {
  const { termination, exitCode, usage } = ended;
  const seconds = (ended.durationUs / 1e6).toFixed(1);
  const peak = usage?.memoryPeakBytes;
  const facts = [
    `worker ${workerId}`,
    `${seconds} s`,
    ...(peak === undefined ? [] : [`memory peak ${Math.ceil(peak / MIB)} MiB`]),
  ].join(', ');
  const spoiled = (code: Code, what: string): RunVerdict => ({
    status: { code, message: what, details: [] },
    message: `${what} (${facts})`,
    uncacheableReason: what,
  });
  const pidsRefused = usage?.pidsRefused ?? 0;
  const pids = `the limit of ${limits.pids} processes and threads was reached`;
  const also = pidsRefused > 0 ? `; ${pids}` : '';
  switch (termination) {
    case Termination.TIMED_OUT:
      return spoiled(
        Code.DEADLINE_EXCEEDED,
        `the command did not end within its timeout of ${timeoutMs} ms${also}`,
      );
    case Termination.CANCELLED:
      return spoiled(Code.CANCELLED, 'the operation was cancelled while the command ran');
    case Termination.OUTPUT_LIMIT: {
      const what = `stdout or stderr reached its limit of ${limits.streamBytes} bytes`;
      return spoiled(Code.RESOURCE_EXHAUSTED, what);
    }
    default:
      break;
  }
  const oomKills = usage?.oomKills ?? 0;
  if (oomKills > 0) {
    const processes = oomKills === 1 ? '1 process' : `${oomKills} processes`;
    return spoiled(
      Code.RESOURCE_EXHAUSTED,
      `the memory limit of ${limits.memoryBytes} bytes was reached and ${processes} killed for it`,
    );
  }
  if (pidsRefused > 0 && exitCode !== 0) return spoiled(Code.RESOURCE_EXHAUSTED, pids);
  const how =
    termination === Termination.NOT_STARTED
      ? `not started: ${ended.message}`
      : `exited with code ${exitCode}`;
  return { status: undefined, message: `${how} (${facts})`, uncacheableReason: pidsRefused > 0 ? pids : '' };
}
