import type { ExecutedActionMetadata } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Lease, OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';
import type { Ranked } from '../matching/ranked-queue.ts';
import type { Requirement } from '../matching/requirement.ts';

/**
 * Where an operation stands.
 * queued: waits for a worker. offered: a worker was chosen and asked, its reply is out. executing: the worker has
 * said yes. committing: its result is being checked and filed; nothing can take the operation away now.
 * completed: the response is in the record.
 */
export type OperationPhase = 'queued' | 'offered' | 'executing' | 'committing' | 'completed';

/** A place in the queue; void once the operation has another or none. */
export interface QueueEntry extends Ranked {
  readonly operation: OperationState;
}

/** One operation in memory. `record` is what the journal keeps of it. */
export interface OperationState {
  readonly record: OperationRecord;
  /** Equal for requests that may share a run; undefined when it may not be shared. */
  readonly joinKey: string | undefined;
  readonly requirement: Requirement;
  /** Order of acceptance. */
  readonly sequence: number;
  readonly acceptedAtMs: number;
  phase: OperationPhase;
  queueEntry: QueueEntry | undefined;
  /** Client streams that wait for it. */
  waiters: number;
  /** When the last waiter left or last asked; meaningful while there are none. */
  waiterlessSinceMs: number;
  /** Times the newest offer was sent, and when it is due again (Infinity while a reply may still come). */
  offerTries: number;
  offerDueAtMs: number;
  executingSinceMs: number;
  /** Offers that came to nothing without counting as attempts. */
  declines: number;
  /** The lease of the newest epoch, also after it was lost: its holder may still show up with it. */
  newestLease: Lease | undefined;
  /** The newest lease was given back or called off: its holder is not heard any more, should it show up with it. */
  leaseVoid: boolean;
  /** What the holder of the newest epoch reported. */
  progress: ExecutedActionMetadata | undefined;
  /** Tokens of the commits to answer, and whose they are, while committing. */
  commitTokens: string[];
  committer: string;
  /** Why it is to end as soon as a commit under way has failed. */
  cancelReason: string | undefined;
  /** The worker kept free for it; see `dispatch`. */
  reservedWorkerId: string | undefined;
  completedAtMs: number;
  responseBytes: number;
}
