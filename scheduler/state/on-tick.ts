import { quote } from '../../core/quote.ts';
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
import type { WorkerState } from './worker-state.ts';

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

/** Ends what has waited too long for a worker that does not exist, or takes no work. */
function failWorkerless(context: StepContext): void {
  const { state, now } = context;
  const nowMs = now.monotonicMs;
  for (const platform of [...state.queues.values()]) {
    if (eligibleWorkers(state, platform).some((worker) => whyNoWork(worker) === undefined)) {
      platform.workerlessSinceMs = undefined;
      continue;
    }
    platform.workerlessSinceMs ??= nowMs;
    for (const { operation } of [...platform.queue.entries()]) {
      const sinceMs = Math.max(platform.workerlessSinceMs, operation.acceptedAtMs);
      if (operation.phase !== 'queued' || nowMs - sinceMs <= state.limits.workerlessMs) continue;
      const waited = `(waited ${Math.round(state.limits.workerlessMs / 1000)} s for one)`;
      const { code, why } = workerlessReason(state, platform);
      fail(context, operation, code, `${why} ${waited}`);
    }
  }
}

/** Why a worker that could run something is given nothing, however long that is so; undefined when it may be. */
function whyNoWork({ heartbeat }: WorkerState): string | undefined {
  if (heartbeat?.draining) return 'is draining';
  return heartbeat?.unhealthyReason ? `says ${quote(heartbeat.unhealthyReason)}` : undefined;
}

/** Workers that are not well may be so again; what no worker has takes a person. */
function workerlessReason(state: SchedulerState, platform: PlatformQueue): { code: Code; why: string } {
  const able = eligibleWorkers(state, platform);
  const [first] = able;
  if (first !== undefined) {
    const count = able.length === 1 ? '1 worker' : `${able.length} workers`;
    const verb = able.length === 1 ? 'takes' : 'take';
    const why = `${count} could run this action, but ${verb} no work: ${first.id} ${whyNoWork(first)}`;
    return { code: Code.UNAVAILABLE, why };
  }
  const workers = knownOffers(state);
  const why =
    workers.length === 0 ? 'the farm has no workers' : describeUnsatisfiable(platform.requirement, workers);
  return { code: Code.FAILED_PRECONDITION, why };
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
