import { Code } from '../../proto/gen/google/rpc/code.ts';
import { isIngotError } from '../error.ts';
import { retryDelayMsOf } from '../error-details.ts';

/** When a unary call is sent again after UNAVAILABLE. */
export interface RetryPolicy {
  /** Attempts in all; 1 never retries. */
  readonly attemptsMax: number;
  /** The wait before the second attempt; each further one is twice as long. */
  readonly firstBackoffMs: number;
  /** The longest wait that we choose ourselves; a server may ask for more. */
  readonly backoffMsMax: number;
}

/** Rides out the restart of a server: about 12 s in all. */
export const defaultRetryPolicy: RetryPolicy = { attemptsMax: 8, firstBackoffMs: 100, backoffMsMax: 5000 };

/**
 * How long to wait before attempt `attempt + 1`, no less than the server asked for, or undefined when the error is not one
 * to retry after, or was the last attempt's. `random` gives numbers from 0 to 1: waits vary from half to all of the backoff.
 */
export function retryDelayMs(
  policy: RetryPolicy,
  attempt: number,
  { error, random }: { readonly error: unknown; readonly random: () => number },
): number | undefined {
  if (attempt >= policy.attemptsMax || !isIngotError(error, Code.UNAVAILABLE)) return undefined;
  const backoffMs = Math.min(policy.firstBackoffMs * 2 ** (attempt - 1), policy.backoffMsMax);
  return Math.max(backoffMs * (0.5 + random() / 2), retryDelayMsOf(error.details) ?? 0);
}
