import type { ExecutedActionMetadata } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Offer } from '../../proto/gen/ingot/v1/bus.ts';
import type { SandboxPlace } from '../sandbox/sandbox.ts';
import type { LeaseOutcome } from './lease-outcome.ts';

/** One lease to be run. */
export interface ActionWork {
  readonly offer: Offer;
  readonly place: SandboxPlace;
  /** Told at each new phase, with the times so far. */
  readonly onProgress: (metadata: ExecutedActionMetadata) => void;
}

/** Runs the action of a lease from its digest to its stored outputs. */
export interface ActionExecutor {
  /** Never throws: what goes wrong is the outcome. The signal's reason is a `LeaseEnded`. */
  execute(work: ActionWork, signal: AbortSignal): Promise<LeaseOutcome>;
  /** Deletes what the lease has on disk, once it is executed. Never throws. */
  release(place: SandboxPlace): Promise<void>;
}
