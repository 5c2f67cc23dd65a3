import { Code } from '../../proto/gen/google/rpc/code.ts';
import { describeUnsatisfiable } from '../matching/unsatisfiable.ts';
import { eligibleWorkers } from './dispatch.ts';
import { abandon, fail, forget } from './ending.ts';
import { loseLease } from './leasing.ts';
import { loseSilentWorkers, noteOutage } from './losing-workers.ts';
import { knownOffers } from './on-execute.ts';
import { repeatOffers } from './on-offer-reply.ts';
import type { OperationState } from './operation-state.ts';
import type { PlatformQueue, SchedulerState } from './scheduler-state.ts';
import type { StepContext } from './step-context.ts';
import { durationMsOf } from './timestamp.ts';

/** Everything that happens because time has passed. */
export function onTick(context: StepContext): void {
  const { state, now } = context;
  noteOutage(state, now.monotonicMs - state.lastTickAtMs - state.limits.tickMs, now);
  state.lastTickAtMs = now.monotonicMs;
  loseSilentWorkers(context);
  loseOverdueLeases(context);
  repeatOffers(context);
  abandonWaiterless(context);
  failWorkerless(context);
  forgetCompleted(context);
}

/** A worker that lives but does not end its action, long after it should have, has hung. */
function loseOverdueLeases(context: StepContext): void {
  const { state, now, outcome } = context;
  const { actionTimeoutMaxMs, leaseOverheadMs } = state.limits;
  for (const worker of state.workers.values()) {
    for (const { operationName, phase } of [...worker.leases.values()]) {
      const operation = state.operations.get(operationName);
      if (operation?.phase !== 'executing' || phase !== 'live') continue;
      const timeoutMs = durationMsOf(operation.record.timeout) ?? actionTimeoutMaxMs;
      const overdueMs = now.monotonicMs - operation.executingSinceMs - timeoutMs - leaseOverheadMs;
      if (overdueMs <= 0) continue;
      const reason = 'the worker did not end the action in time';
      operation.leaseVoid = true;
      const cancel = { operationName, epoch: operation.record.epoch, reason };
      outcome.emit({ kind: 'cancelLease', workerId: worker.id, cancel });
      loseLease(context, operation, { reason, kind: 'worker', room: 'stopping' });
    }
  }
}

function abandonWaiterless(context: StepContext): void {
  const { state, now } = context;
  const { waiterlessQueuedMs, waiterlessExecutingMs } = state.limits;
  for (const operation of [...state.waiterless]) {
    const { phase, waiterlessSinceMs } = operation;
    // A result is about to be there: filing it costs less than it did to make.
    if (phase === 'committing') continue;
    const keptMs = phase === 'executing' ? waiterlessExecutingMs : waiterlessQueuedMs;
    if (now.monotonicMs - waiterlessSinceMs <= keptMs) continue;
    abandon(context, operation, 'no client waits for it any more');
  }
}

/** Ends what has waited too long for a worker that does not exist. */
function failWorkerless(context: StepContext): void {
  const { state, now } = context;
  const nowMs = now.monotonicMs;
  for (const platform of [...state.queues.values()]) {
    const usable = eligibleWorkers(state, platform).some(({ heartbeat }) => heartbeat?.draining === false);
    if (usable) {
      platform.workerlessSinceMs = undefined;
      continue;
    }
    platform.workerlessSinceMs ??= nowMs;
    for (const { operation } of [...platform.queue.entries()]) {
      const sinceMs = Math.max(platform.workerlessSinceMs, operation.acceptedAtMs);
      if (operation.phase !== 'queued' || nowMs - sinceMs <= state.limits.workerlessMs) continue;
      fail(context, operation, Code.FAILED_PRECONDITION, workerlessMessage(state, platform));
    }
  }
}

function workerlessMessage(state: SchedulerState, { requirement }: PlatformQueue): string {
  const workers = knownOffers(state);
  const waitedSeconds = Math.round(state.limits.workerlessMs / 1000);
  const why = workers.length === 0 ? 'the farm has no workers' : describeUnsatisfiable(requirement, workers);
  return `${why} (waited ${waitedSeconds} s for one)`;
}

function forgetCompleted(context: StepContext): void {
  const { state, now } = context;
  const { completedKeptMs, completedKeptMax, completedKeptBytesMax } = state.limits;
  const tooMuch = (operation: OperationState): boolean =>
    now.monotonicMs - operation.completedAtMs > completedKeptMs ||
    state.completed.size > completedKeptMax ||
    state.completedBytes > completedKeptBytesMax;
  for (const operation of state.completed) {
    if (!tooMuch(operation)) return;
    forget(context, operation);
  }
}
