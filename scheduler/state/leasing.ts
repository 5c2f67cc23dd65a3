import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { Offer, Resources } from '../../proto/gen/ingot/v1/bus.ts';
import type { Lease } from '../../proto/gen/ingot/v1/journal.ts';
import { fail } from './ending.ts';
import type { Instant } from './instant.ts';
import { endLease } from './lease-room.ts';
import type { OperationState } from './operation-state.ts';
import { logNamesOf } from './operation-view.ts';
import { dequeue, enqueue } from './queueing.ts';
import type { StepContext } from './step-context.ts';
import { timestampOf } from './timestamp.ts';
import { leaseKey, recountInUse, type WorkerState } from './worker-state.ts';

/** What is kept of a worker's reason; a worker may send as much as a message holds. */
const REASON_CHARACTERS_MAX = 1_000;

/** queued → offered: gives the operation a new epoch and asks the worker to take it. */
export function enterOffered(
  context: StepContext,
  operation: OperationState,
  worker: WorkerState,
  reserved: Resources,
): void {
  const { state, now, outcome } = context;
  const { record } = operation;
  dequeue(state, operation);
  record.epoch += 1;
  const lease: Lease = {
    workerId: worker.id,
    incarnation: worker.incarnation,
    epoch: record.epoch,
    grantedTimestamp: timestampOf(now.wallMs),
    reserved,
  };
  operation.phase = 'offered';
  operation.leaseVoid = false;
  operation.progress = undefined;
  operation.offerTries = 0;
  bindLease(operation, worker, lease, now);
  state.offered.add(operation);
  outcome.changed(operation);
  sendOffer(context, operation);
}

/** Sends the newest offer, for the first time or again. */
export function sendOffer(context: StepContext, operation: OperationState): void {
  const { outcome } = context;
  const { record } = operation;
  const { lease } = record;
  if (lease === undefined) return;
  operation.offerTries += 1;
  operation.offerDueAtMs = Number.POSITIVE_INFINITY;
  const offer: Offer = {
    operationName: record.name,
    epoch: lease.epoch,
    attempt: record.attempts.length + 1,
    instanceName: record.instanceName,
    digestFunction: record.digestFunction,
    actionDigest: record.actionDigest,
    reserved: lease.reserved,
    ...logNamesOf(operation),
    requestMetadata: record.requestMetadata,
    queuedTimestamp: record.queuedTimestamp,
    workerId: lease.workerId,
    incarnation: lease.incarnation,
  };
  outcome.emit({ kind: 'offer', offer });
}

/** offered → executing: the worker has said yes, or shows the lease in a heartbeat. */
export function enterExecuting(context: StepContext, operation: OperationState): void {
  const { state, now, outcome } = context;
  state.offered.delete(operation);
  operation.phase = 'executing';
  operation.executingSinceMs = now.monotonicMs;
  outcome.notify(operation);
}

/** queued → executing: the holder of the newest epoch, thought lost, shows up with it. Its last attempt goes on. */
export function readopt(context: StepContext, operation: OperationState, worker: WorkerState): void {
  const { state, now, outcome } = context;
  const { newestLease, record } = operation;
  if (newestLease === undefined) return;
  dequeue(state, operation);
  if (record.attempts.at(-1)?.epoch === newestLease.epoch) record.attempts.pop();
  bindLease(operation, worker, newestLease, now);
  enterExecuting(context, operation);
  outcome.changed(operation);
}

/** Why a lease came to nothing, and what that means for the operation. */
export interface LeaseLoss {
  readonly reason: string;
  /** `worker`: it died or left, one attempt less. `handback`: the same, by its own word. `free`: no attempt was made. */
  readonly kind: 'worker' | 'handback' | 'free';
  /** What the worker still has of it; see `endLease`. */
  readonly room: 'over' | 'answered' | 'stopping';
}

/** Back into the queue, or the end when all attempts are used up. */
export function loseLease(
  context: StepContext,
  operation: OperationState,
  { reason, kind, room }: LeaseLoss,
): void {
  const { state, now, outcome } = context;
  const { record } = operation;
  const lease = record.lease ?? operation.newestLease;
  endLease(state, operation, room);
  if (kind === 'free') operation.declines += 1;
  else {
    record.attempts.push({
      workerId: lease?.workerId ?? '',
      epoch: record.epoch,
      startedTimestamp: lease?.grantedTimestamp,
      endedTimestamp: timestampOf(now.wallMs),
      reason: reason.slice(0, REASON_CHARACTERS_MAX),
    });
  }
  const { attemptsMax, declinesMax } = state.limits;
  if (record.attempts.length >= attemptsMax) {
    // An action whose workers keep dying is taken to be what kills them; trying again would kill more.
    const code = kind === 'worker' ? Code.INTERNAL : Code.UNAVAILABLE;
    fail(context, operation, code, `the action failed on its workers ${historyOf(operation)}`);
  } else if (operation.declines > declinesMax) {
    const message = `${operation.declines} offers of the action came to nothing; the last: ${reason.slice(0, REASON_CHARACTERS_MAX)}`;
    fail(context, operation, Code.UNAVAILABLE, message);
  } else {
    enqueue(state, operation);
    outcome.changed(operation);
    outcome.notify(operation);
  }
}

function historyOf({ record }: OperationState): string {
  const lines = record.attempts.map(({ workerId, reason }, index) => `${index + 1}. ${workerId}: ${reason}`);
  return `${lines.length} times (${lines.join('; ')})`;
}

function bindLease(operation: OperationState, worker: WorkerState, lease: Lease, now: Instant): void {
  const { record } = operation;
  record.lease = lease;
  operation.newestLease = lease;
  worker.leases.set(leaseKey(record.name, lease.epoch), {
    operationName: record.name,
    epoch: lease.epoch,
    reserved: lease.reserved ?? { slots: 1, cpuMillis: 0, memoryBytes: 0, gpus: [] },
    phase: 'live',
    seen: false,
    touchedAtMs: now.monotonicMs,
  });
  recountInUse(worker);
}
