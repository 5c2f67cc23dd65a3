import { codeToJSON } from '../../proto/gen/google/rpc/code.ts';
import { IngotError } from '../error.ts';

/** An error as it is logged. */
export interface LoggedError {
  readonly type: string;
  readonly message: string;
  /** The google.rpc code's name, of an IngotError; the system's code (`ENOSPC`) of others. */
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
}

/** Longest chain of causes that is written; beyond it lies a loop or a bug. */
const CAUSES_MAX = 8;

/** Anything thrown, with its causes, as plain data for a log line. */
export function describeError(error: unknown): LoggedError {
  return describe(error, CAUSES_MAX);
}

function describe(error: unknown, causesLeft: number): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const code = codeOf(error);
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause === undefined || causesLeft === 0
      ? {}
      : { cause: describe(error.cause, causesLeft - 1) }),
  };
}

function codeOf(error: Error): string | undefined {
  if (error instanceof IngotError) return codeToJSON(error.code);
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
