import { Code } from '../proto/gen/google/rpc/code.ts';

/**
 * What `ingot` ends with, besides the exit code of an action that `ingot run` passes on. The numbers from 64 up
 * are those of BSD's sysexits; 124 is what timeout(1) says and 130 what a shell says after Ctrl-C.
 */
export const ExitCode = {
  OK: 0,
  /** The command did its work and the answer is no: an output was not made, a check failed. */
  FAILED: 1,
  /** The command line is wrong. */
  USAGE: 2,
  /** Bytes or names are not what they should be. */
  DATA: 65,
  /** An input, blob or operation that was named is not there. */
  NOT_FOUND: 66,
  /** The farm, or a part of it, does not answer. */
  UNAVAILABLE: 69,
  /** A fault of ours. */
  INTERNAL: 70,
  /** An output cannot be written. */
  CANNOT_WRITE: 73,
  /** A limit is reached; later may be better. */
  EXHAUSTED: 75,
  /** Not allowed. */
  PERMISSION: 77,
  /** The farm or this machine is not set up for it: no worker fits, a folder or port is taken. */
  SETUP: 78,
  /** Time ran out. */
  TIMEOUT: 124,
  /** Stopped by a signal, or cancelled. */
  INTERRUPTED: 130,
} as const;

const BY_STATUS = new Map<Code, number>([
  [Code.OK, ExitCode.OK],
  [Code.CANCELLED, ExitCode.INTERRUPTED],
  [Code.INVALID_ARGUMENT, ExitCode.DATA],
  [Code.DEADLINE_EXCEEDED, ExitCode.TIMEOUT],
  [Code.NOT_FOUND, ExitCode.NOT_FOUND],
  [Code.ALREADY_EXISTS, ExitCode.CANNOT_WRITE],
  [Code.PERMISSION_DENIED, ExitCode.PERMISSION],
  [Code.UNAUTHENTICATED, ExitCode.PERMISSION],
  [Code.RESOURCE_EXHAUSTED, ExitCode.EXHAUSTED],
  [Code.FAILED_PRECONDITION, ExitCode.SETUP],
  [Code.ABORTED, ExitCode.EXHAUSTED],
  [Code.OUT_OF_RANGE, ExitCode.DATA],
  [Code.UNIMPLEMENTED, ExitCode.SETUP],
  [Code.UNAVAILABLE, ExitCode.UNAVAILABLE],
  [Code.DATA_LOSS, ExitCode.DATA],
]);

/** The exit code for a failure with this google.rpc code; INTERNAL for those without a meaning of their own. */
export function exitCodeOfStatus(code: Code): number {
  return BY_STATUS.get(code) ?? ExitCode.INTERNAL;
}
