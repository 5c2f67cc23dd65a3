import { ExecuteResponse } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Lease, OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';
import { requirementOf } from '../matching/requirement.ts';
import type { Instant } from './instant.ts';
import { newOperationState } from './new-operation-state.ts';
import { placeholderWorker } from './on-heartbeat.ts';
import type { OperationState } from './operation-state.ts';
import { enqueue } from './queueing.ts';
import type { EventOf } from './scheduler-event.ts';
import type { SchedulerState } from './scheduler-state.ts';
import { wallMsOf } from './timestamp.ts';
import { leaseKey, recountInUse } from './worker-state.ts';

const DEFAULT_REQUEST = { slots: 1, cpuMillis: 0, memoryBytes: 0, gpus: [] };

/**
 * Takes up what an earlier scheduler left: what was queued is queued, in the same order; what was leased stays so
 * until its worker shows itself or its time to do so is over; what was finished can be asked for.
 */
export function onRestore(state: SchedulerState, { records }: EventOf<'restore'>, now: Instant): void {
  const ordered = records.toSorted(
    (a, b) => wallMsOf(a.queuedTimestamp) - wallMsOf(b.queuedTimestamp) || (a.name < b.name ? -1 : 1),
  );
  for (const record of ordered) restoreOne(state, record, now);
}

function restoreOne(state: SchedulerState, record: OperationRecord, now: Instant): void {
  const requirement = requirementOf(record.request ?? DEFAULT_REQUEST, record.properties);
  const operation = newOperationState(state, record, requirement, now);
  state.operations.set(record.name, operation);
  if (record.response !== undefined) {
    operation.phase = 'completed';
    operation.responseBytes = ExecuteResponse.encode(record.response).finish().byteLength;
    state.completed.add(operation);
    state.completedBytes += operation.responseBytes;
    return;
  }
  if (operation.joinKey !== undefined) state.inFlight.set(operation.joinKey, operation);
  state.waiterless.add(operation);
  if (record.lease === undefined) enqueue(state, operation);
  else restoreLease(state, operation, record.lease, now);
}

/** The offer may never have left, or the worker may be at it: its next heartbeat tells. */
function restoreLease(state: SchedulerState, operation: OperationState, lease: Lease, now: Instant): void {
  const { workerId, incarnation, epoch, reserved } = lease;
  operation.phase = 'executing';
  operation.newestLease = lease;
  const known = state.workers.get(workerId);
  if (known !== undefined && known.incarnation !== incarnation) {
    // Two incarnations of one worker hold leases: the older is dead, whichever it is; waiting finds out.
    operation.record.lease = undefined;
    enqueue(state, operation);
    return;
  }
  const worker = known ?? placeholderWorker(workerId, incarnation, state.limits.readoptMs, now);
  state.workers.set(workerId, worker);
  worker.leases.set(leaseKey(operation.record.name, epoch), {
    operationName: operation.record.name,
    epoch,
    reserved: reserved ?? DEFAULT_REQUEST,
    phase: 'live',
    seen: false,
    touchedAtMs: Number.NEGATIVE_INFINITY,
  });
  recountInUse(worker);
}
