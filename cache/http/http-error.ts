import { toIngotError } from '../../core/error.ts';
import { RETRY_INFO_TYPE, unpackAny } from '../../core/error-details.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { Code, codeToJSON } from '../../proto/gen/google/rpc/code.ts';
import { RetryInfo } from '../../proto/gen/google/rpc/error_details.ts';

/** HTTP statuses for our codes; others are 500. */
const STATUSES: ReadonlyMap<Code, number> = new Map<Code, number>([
  [Code.INVALID_ARGUMENT, 400],
  [Code.UNAUTHENTICATED, 401],
  [Code.PERMISSION_DENIED, 403],
  [Code.NOT_FOUND, 404],
  [Code.FAILED_PRECONDITION, 409],
  [Code.OUT_OF_RANGE, 416],
  [Code.CANCELLED, 499],
  [Code.UNIMPLEMENTED, 501],
  [Code.UNAVAILABLE, 503],
  [Code.DEADLINE_EXCEEDED, 504],
  [Code.RESOURCE_EXHAUSTED, 507],
]);

/** When a client that was told UNAVAILABLE, without a time, may try again. */
const RETRY_AFTER_SECONDS = 1;

/** What an HTTP client is told of an error. */
export interface HttpError {
  readonly status: number;
  readonly body: string;
  /** For Retry-After; undefined when trying again as it is will not help, or nobody knows when. */
  readonly retryAfterSeconds: number | undefined;
}

/** The status and text for anything thrown; what is not an IngotError tells nothing of itself. */
export function httpError(error: unknown): HttpError {
  const { code, message, details } = toIngotError(error);
  return {
    status: STATUSES.get(code) ?? 500,
    body: `${codeToJSON(code)}: ${message}\n`,
    retryAfterSeconds:
      retryDelaySeconds(details) ?? (code === Code.UNAVAILABLE ? RETRY_AFTER_SECONDS : undefined),
  };
}

/** What RetryInfo says, in the whole seconds that HTTP counts in. */
function retryDelaySeconds(details: readonly Any[] = []): number | undefined {
  for (const detail of details) {
    const delay = unpackAny(RetryInfo, RETRY_INFO_TYPE, detail)?.retryDelay;
    if (delay !== undefined) return delay.seconds + Math.ceil(delay.nanos / 1e9);
  }
  return undefined;
}
