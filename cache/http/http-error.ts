import { toIngotError } from '../../core/error.ts';
import { detailsForClient, retryDelayMsOf } from '../../core/error-details.ts';
import { Code, codeToJSON } from '../../proto/gen/google/rpc/code.ts';

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

/** What an HTTP client is told of an error. */
export interface HttpError {
  readonly status: number;
  readonly body: string;
  /** For Retry-After; undefined when trying again as it is will not help, or nobody knows when. */
  readonly retryAfterSeconds: number | undefined;
}

/** The status and text for anything thrown; what is not an IngotError tells nothing of itself. */
export function httpError(error: unknown): HttpError {
  const known = toIngotError(error);
  const delayMs = retryDelayMsOf(detailsForClient(known));
  return {
    status: STATUSES.get(known.code) ?? 500,
    body: `${codeToJSON(known.code)}: ${known.message}\n`,
    // In the whole seconds that HTTP counts in.
    retryAfterSeconds: delayMs === undefined ? undefined : Math.ceil(delayMs / 1000),
  };
}
