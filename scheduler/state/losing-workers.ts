import type { Instant } from './instant.ts';
import { loseLease } from './leasing.ts';
import type { SchedulerState } from './scheduler-state.ts';
import type { StepContext } from './step-context.ts';
import type { WorkerState } from './worker-state.ts';

/** Drops a worker; what it had goes back into the queue. */
export function loseWorker(context: StepContext, worker: WorkerState, reason: string): void {
  const { state, outcome } = context;
  state.workers.delete(worker.id);
  state.inventoryVersion += 1;
  const fields = { worker: worker.id, reason, leases: worker.leases.size };
  outcome.emit({ kind: 'log', level: 'warn', fields, message: 'worker lost' });
  for (const { operationName, phase } of [...worker.leases.values()]) {
    const operation = state.operations.get(operationName);
    // A result that is being filed needs its worker no more.
    if (operation === undefined || phase !== 'live' || operation.phase === 'committing') continue;
    loseLease(context, operation, { reason, kind: 'worker', room: 'over' });
  }
}

/** Part of a worker's allowed silence that an outage must last to be one; less is jitter. */
const OUTAGE_SHARE = 2 / 3;

/**
 * For `gapMs` no one could be heard: the bus was away, or this process stood still. Workers for which that matters get
 * their whole time anew.
 */
export function noteOutage(state: SchedulerState, gapMs: number, now: Instant): void {
  for (const worker of state.workers.values()) {
    if (gapMs > OUTAGE_SHARE * worker.silenceMaxMs) worker.hearingSinceMs = now.monotonicMs;
  }
}

/**
 * Finds the workers that are silent for too long. Silence counts only while others are heard: when nobody is, the
 * bus may be away, and nothing could be given to anyone else. Only after `silenceMs` of that are all given up.
 */
export function loseSilentWorkers(context: StepContext): void {
  const { state, now } = context;
  const nowMs = now.monotonicMs;
  const nobodySinceMs = nowMs - state.lastHeardAtMs;
  for (const worker of [...state.workers.values()]) {
    const silentMs = nowMs - Math.max(worker.lastHeardAtMs, worker.hearingSinceMs);
    if (silentMs <= worker.silenceMaxMs) continue;
    const left = worker.heartbeat?.draining === true && worker.leases.size === 0;
    const othersHeard = nobodySinceMs <= worker.silenceMaxMs;
    if (!othersHeard && !left && nobodySinceMs <= state.limits.silenceMs) continue;
    const heardMs = nowMs - worker.lastHeardAtMs;
    const reason = `the worker was not heard for ${(heardMs / 1000).toFixed(1)} s`;
    loseWorker(context, worker, reason);
  }
}
