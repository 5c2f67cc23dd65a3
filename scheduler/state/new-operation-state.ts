import type { OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';
import type { Requirement } from '../matching/requirement.ts';
import type { Instant } from './instant.ts';
import { joinKeyOf } from './join-key.ts';
import type { OperationState } from './operation-state.ts';
import type { SchedulerState } from './scheduler-state.ts';

/** An operation just accepted or just read from the journal: in no queue and without waiters yet. */
export function newOperationState(
  state: SchedulerState,
  record: OperationRecord,
  requirement: Requirement,
  now: Instant,
): OperationState {
  const sequence = state.nextSequence;
  state.nextSequence += 1;
  return {
    record,
    joinKey: joinKeyOf(record),
    requirement,
    sequence,
    acceptedAtMs: now.monotonicMs,
    phase: 'queued',
    queueEntry: undefined,
    waiters: 0,
    waiterlessSinceMs: now.monotonicMs,
    offerTries: 0,
    offerDueAtMs: Number.POSITIVE_INFINITY,
    executingSinceMs: now.monotonicMs,
    declines: 0,
    newestLease: undefined,
    leaseVoid: false,
    progress: undefined,
    commitTokens: [],
    committer: '',
    cancelReason: undefined,
    reservedWorkerId: undefined,
    completedAtMs: now.monotonicMs,
    responseBytes: 0,
  };
}
