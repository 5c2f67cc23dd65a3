import { unavailable } from '../../core/error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { type Commit, CommitReply_Outcome, type Handback } from '../../proto/gen/ingot/v1/bus.ts';
import { committerOf } from './committer.ts';
import { complete, fail } from './ending.ts';
import { loseLease } from './leasing.ts';
import type { OperationState } from './operation-state.ts';
import { dequeue } from './queueing.ts';
import type { EventOf } from './scheduler-event.ts';
import type { SchedulerState } from './scheduler-state.ts';
import type { StepContext } from './step-context.ts';
import { leaseKey } from './worker-state.ts';

/** A worker has finished. Only the holder of the newest epoch is heard, and an accepted commit is accepted again. */
export function onCommit(context: StepContext, { token, commit }: EventOf<'commit'>): void {
  const { state, outcome } = context;
  const { operationName, epoch, workerId, incarnation } = commit;
  const answer = (of: CommitReply_Outcome, message: string): void =>
    outcome.emit({ kind: 'replyCommit', token, reply: { outcome: of, message } });
  const committer = committerOf(workerId, incarnation, epoch);
  const operation = state.operations.get(operationName);
  if (operation === undefined) {
    answer(CommitReply_Outcome.UNKNOWN_OPERATION, 'the operation is not known, or was forgotten');
    return;
  }
  const { record, phase, newestLease } = operation;
  if (phase === 'completed') {
    if (record.committedBy === committer) answer(CommitReply_Outcome.ACCEPTED, '');
    else answer(CommitReply_Outcome.STALE, 'the operation has ended otherwise');
    return;
  }
  const isHolder =
    newestLease === undefined ||
    committerOf(newestLease.workerId, newestLease.incarnation, epoch) === committer;
  if (epoch !== record.epoch || !isHolder) {
    answer(CommitReply_Outcome.STALE, `epoch ${epoch} is not the newest, which is ${record.epoch}`);
    return;
  }
  if (commit.outcome === undefined || commit.outcome.$case === 'handback') {
    const handback = commit.outcome?.value ?? { reason: 'it committed nothing', free: false };
    if (phase === 'committing') answer(CommitReply_Outcome.STALE, 'a result of this lease is being filed');
    else {
      onHandback(context, operation, handback);
      answer(CommitReply_Outcome.ACCEPTED, '');
    }
    return;
  }
  if (operation.leaseVoid) answer(CommitReply_Outcome.STALE, 'the lease was called off');
  else enterCommitting(context, operation, token, commit);
}

/** Any phase but completed → committing: from now on nothing can take the operation away. */
function enterCommitting(
  context: StepContext,
  operation: OperationState,
  token: string,
  commit: Commit,
): void {
  const { state, outcome } = context;
  operation.commitTokens.push(token);
  if (operation.phase === 'committing') return;
  dequeue(state, operation);
  state.offered.delete(operation);
  operation.phase = 'committing';
  operation.committer = committerOf(commit.workerId, commit.incarnation, commit.epoch);
  outcome.emit({ kind: 'prepareCommit', record: operation.record, commit });
}

/** A repeat finds the operation in the queue again already, and changes nothing. */
function onHandback(context: StepContext, operation: OperationState, { reason, free }: Handback): void {
  if (operation.leaseVoid) return;
  operation.leaseVoid = true;
  if (operation.phase === 'queued') return;
  const kind = free ? 'free' : 'handback';
  loseLease(context, operation, { reason: `handed back: ${reason}`, kind, room: 'answered' });
}

/** committing → completed: the result is checked and filed. */
export function onCommitPrepared(context: StepContext, event: EventOf<'commitPrepared'>): void {
  const { state, outcome } = context;
  const operation = committing(state, event);
  if (operation === undefined) return;
  operation.record.committedBy = operation.committer;
  complete(context, operation, event.response, event.responseBytes);
  if (event.cached && operation.joinKey !== undefined) state.finished.set(operation.joinKey, operation);
  for (const token of operation.commitTokens.splice(0)) {
    const reply = { outcome: CommitReply_Outcome.ACCEPTED, message: '' };
    outcome.emit({ kind: 'replyCommit', token, reply });
  }
}

/** committing → executing, so that the worker commits again; or back into the queue when the result is no good. */
export function onCommitFailed(context: StepContext, event: EventOf<'commitFailed'>): void {
  const { state, outcome } = context;
  const operation = committing(state, event);
  if (operation === undefined) return;
  const { reason, retry } = event;
  for (const token of operation.commitTokens.splice(0)) {
    const reply = retry
      ? unavailable(`commit of ${event.operationName}: ${reason}`)
      : { outcome: CommitReply_Outcome.STALE, message: reason };
    outcome.emit({ kind: 'replyCommit', token, reply });
  }
  operation.phase = 'executing';
  if (operation.cancelReason !== undefined) {
    fail(context, operation, Code.CANCELLED, operation.cancelReason);
  } else if (!retry) {
    operation.leaseVoid = true;
    const loss = { reason: `its result was refused: ${reason}`, kind: 'handback', room: 'answered' } as const;
    loseLease(context, operation, loss);
  } else if (!holderIsHere(state, operation)) {
    const loss = {
      reason: 'the worker was lost before it could commit again',
      kind: 'worker',
      room: 'over',
    } as const;
    loseLease(context, operation, loss);
  }
}

function committing(
  state: SchedulerState,
  { operationName, epoch }: { readonly operationName: string; readonly epoch: number },
): OperationState | undefined {
  const operation = state.operations.get(operationName);
  return operation?.phase === 'committing' && operation.record.epoch === epoch ? operation : undefined;
}

function holderIsHere(state: SchedulerState, { record }: OperationState): boolean {
  const { lease, name } = record;
  if (lease === undefined) return false;
  return state.workers.get(lease.workerId)?.leases.get(leaseKey(name, lease.epoch))?.phase === 'live';
}
