import { abortReason } from '../../core/abort.ts';
import { IngotError, toIngotError } from '../../core/error.ts';
import {
  type ExecutedActionMetadata,
  ExecuteResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';

/** What came of a lease. */
export type LeaseOutcome =
  | {
      readonly kind: 'response';
      readonly response: ExecuteResponse;
      /** Not empty: must not enter the action cache, and why. */
      readonly uncacheableReason: string;
    }
  | {
      readonly kind: 'handback';
      readonly reason: string;
      /** Does not count as one of the operation's attempts. */
      readonly free: boolean;
    };

/** Why a lease is ended before its time: the signal's reason. */
export class LeaseEnded extends IngotError {
  /** The worker is leaving, rather than the action being cancelled. */
  readonly draining: boolean;

  constructor(message: string, { draining }: { readonly draining: boolean }) {
    super(draining ? Code.UNAVAILABLE : Code.CANCELLED, message);
    this.draining = draining;
  }
}

/** Codes that say the action or its client is at fault, so that another worker would do no better. */
const ACTIONS_OWN: ReadonlySet<Code> = new Set([
  Code.INVALID_ARGUMENT,
  Code.FAILED_PRECONDITION,
  Code.RESOURCE_EXHAUSTED,
  Code.NOT_FOUND,
  Code.OUT_OF_RANGE,
  Code.UNIMPLEMENTED,
]);

/** What becomes of a lease when a step of it has failed: an answer for the client, or another worker's turn. */
export function outcomeOfError(
  thrown: unknown,
  { signal, metadata }: { readonly signal: AbortSignal; readonly metadata: ExecutedActionMetadata },
): LeaseOutcome {
  const error = signal.aborted ? abortReason(signal) : toIngotError(thrown);
  const draining = error instanceof LeaseEnded && error.draining;
  if (draining || !(ACTIONS_OWN.has(error.code) || error instanceof LeaseEnded)) {
    return { kind: 'handback', reason: error.message, free: draining };
  }
  const { code, message, details } = error;
  return {
    kind: 'response',
    response: ExecuteResponse.create({
      status: { code, message, details: [...details] },
      message,
      ...(metadata.executionStartTimestamp !== undefined && { result: { executionMetadata: metadata } }),
    }),
    uncacheableReason: message,
  };
}
