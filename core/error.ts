import type { Any } from '../proto/gen/google/protobuf/any.ts';
import { Code } from '../proto/gen/google/rpc/code.ts';

/** Optional parts of an {@link IngotError}. */
export interface IngotErrorOptions {
  /** What led to it; for the log only, never sent to a client. */
  readonly cause?: unknown;
  /** google.rpc detail messages sent with the status, packed with `core/error-details.ts`. */
  readonly details?: readonly Any[];
}

/**
 * The one error class of the project: a google.rpc code, a message fit for the client, details and a cause.
 * Anything else that is thrown leaves the process as INTERNAL "internal error".
 */
export class IngotError extends Error {
  readonly code: Code;
  readonly details: readonly Any[];

  constructor(code: Code, message: string, options: IngotErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'IngotError';
    this.code = code;
    this.details = options.details ?? [];
  }
}

type Factory = (message: string, options?: IngotErrorOptions) => IngotError;
const factory =
  (code: Code): Factory =>
  (message, options) =>
    new IngotError(code, message, options);

/** Malformed request, or bytes from a client that are not what it said. */
export const invalidArgument = factory(Code.INVALID_ARGUMENT);
/** Something a client named is not here. */
export const notFound = factory(Code.NOT_FOUND);
/** The request cannot be carried out until something else is done first (inputs uploaded, a worker added). */
export const failedPrecondition = factory(Code.FAILED_PRECONDITION);
/** A limit with a name is reached. */
export const resourceExhausted = factory(Code.RESOURCE_EXHAUSTED);
/** A part is away for now; trying again is right. */
export const unavailable = factory(Code.UNAVAILABLE);
/** Time ran out. */
export const deadlineExceeded = factory(Code.DEADLINE_EXCEEDED);
/** The caller has gone, or asked for the end. */
export const cancelled = factory(Code.CANCELLED);
/** An offset past the end. */
export const outOfRange = factory(Code.OUT_OF_RANGE);
/** A feature that is not announced. */
export const unimplemented = factory(Code.UNIMPLEMENTED);
/** Another call is in the way (two writers on one upload). */
export const aborted = factory(Code.ABORTED);
/** It is there already. */
export const alreadyExists = factory(Code.ALREADY_EXISTS);
/** Not allowed. */
export const permissionDenied = factory(Code.PERMISSION_DENIED);
/** No valid credential. */
export const unauthenticated = factory(Code.UNAUTHENTICATED);
/** Stored bytes are damaged. */
export const dataLoss = factory(Code.DATA_LOSS);
/** A broken invariant of ours. */
export const internal = factory(Code.INTERNAL);

/** True for an {@link IngotError}, of the given code when one is named. */
export function isIngotError(error: unknown, code?: Code): error is IngotError {
  return error instanceof IngotError && (code === undefined || error.code === code);
}

/** The same error with `prefix: ` before its message; the code and details stay. Unknown errors become INTERNAL. */
export function wrap(error: unknown, prefix: string): IngotError {
  if (error instanceof IngotError) {
    return new IngotError(error.code, `${prefix}: ${error.message}`, {
      cause: error.cause ?? error,
      details: error.details,
    });
  }
  return new IngotError(Code.INTERNAL, `${prefix}: internal error`, { cause: error });
}

/** The same message and details under another code, for the places where who is at fault changes. */
export function withCode(error: IngotError, code: Code): IngotError {
  return new IngotError(code, error.message, { cause: error.cause ?? error, details: error.details });
}

/** Turns anything thrown into what may leave the process; the original stays as the cause, for the log. */
export function toIngotError(error: unknown): IngotError {
  if (error instanceof IngotError) return error;
  return new IngotError(Code.INTERNAL, 'internal error', { cause: error });
}
