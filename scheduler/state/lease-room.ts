import type { OperationState } from './operation-state.ts';
import type { SchedulerState } from './scheduler-state.ts';
import { leaseKey, recountInUse } from './worker-state.ts';

/**
 * Takes the lease out of an operation's record. `over`: the worker never had it or is gone, so that its room is free
 * at once. For the others see `WorkerLease.phase`.
 */
export function endLease(
  state: SchedulerState,
  operation: OperationState,
  how: 'over' | 'answered' | 'stopping',
): void {
  state.offered.delete(operation);
  const { lease, name } = operation.record;
  if (lease === undefined) return;
  operation.record.lease = undefined;
  const worker = state.workers.get(lease.workerId);
  const held = worker?.leases.get(leaseKey(name, lease.epoch));
  if (worker === undefined || held === undefined) return;
  if (how === 'over') {
    worker.leases.delete(leaseKey(name, lease.epoch));
    recountInUse(worker);
  } else {
    held.phase = how;
  }
}

/** The worker may have taken the lease up just now: a heartbeat on its way may not show it yet. */
export function touchLease(state: SchedulerState, operation: OperationState, nowMs: number): void {
  const { lease, name } = operation.record;
  if (lease === undefined) return;
  const held = state.workers.get(lease.workerId)?.leases.get(leaseKey(name, lease.epoch));
  if (held !== undefined) held.touchedAtMs = nowMs;
}
