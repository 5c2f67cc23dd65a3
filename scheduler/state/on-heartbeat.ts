import type { HeldLease, WorkerHeartbeat } from '../../proto/gen/ingot/v1/bus.ts';
import { hasRoomFor } from '../matching/allocate.ts';
import { committerOf } from './committer.ts';
import type { Instant } from './instant.ts';
import { enterExecuting, loseLease, readopt } from './leasing.ts';
import { loseWorker, noteOutage } from './losing-workers.ts';
import type { OperationState } from './operation-state.ts';
import type { EventOf } from './scheduler-event.ts';
import type { SchedulerState } from './scheduler-state.ts';
import type { StepContext } from './step-context.ts';
import { durationMsOf } from './timestamp.ts';
import { capacityOf, leaseKey, recountInUse, type WorkerLease, type WorkerState } from './worker-state.ts';

/** What a worker that does not say is taken to mean, and the bounds of what it may say. */
const INTERVAL_DEFAULT_MS = 1_000;
const INTERVAL_MIN_MS = 50;
const INTERVAL_MAX_MS = 60_000;
/** Three missed heartbeats end a lease; the half is for the time they take to arrive. */
const INTERVALS_MISSED_MAX = 3.5;
/** A lease no heartbeat has shown is taken as gone only this many intervals after it was offered or accepted. */
const INTERVALS_SETTLE = 2;
/** Incarnations remembered, one worker; late heartbeats are seconds late, restarts are seconds apart. */
const DEAD_INCARNATIONS_MAX = 8;

/** A worker's word on itself: its inventory is taken over, its leases are compared with ours. */
export function onHeartbeat(context: StepContext, { heartbeat }: EventOf<'heartbeat'>): void {
  const { state, now, outcome } = context;
  const known = state.workers.get(heartbeat.workerId);
  if (known?.deadIncarnations.includes(heartbeat.incarnation)) return;
  const same = known?.incarnation === heartbeat.incarnation;
  if (known !== undefined && same && known.heartbeat !== undefined) {
    if (heartbeat.sequence <= known.heartbeat.sequence) return;
  }
  if (known !== undefined && !same) loseWorker(context, known, 'the worker restarted');
  const intervalMs = intervalOf(heartbeat);
  noteOutage(state, now.monotonicMs - state.lastHeardAtMs, now);
  state.lastHeardAtMs = now.monotonicMs;

  const worker = known !== undefined && same ? known : newWorkerState(heartbeat, known, now);
  state.workers.set(worker.id, worker);
  if (worker.heartbeat === undefined) {
    const { workerId, hostName, incarnation } = heartbeat;
    const fields = { worker: workerId, hostName, incarnation };
    outcome.emit({ kind: 'log', level: 'info', fields, message: 'worker joined' });
  }
  worker.heartbeat = heartbeat;
  worker.lastHeardAtMs = now.monotonicMs;
  worker.lastHeardWallMs = now.wallMs;
  worker.intervalMs = intervalMs;
  worker.silenceMaxMs = INTERVALS_MISSED_MAX * intervalMs;
  noteInventory(state, worker, heartbeat);
  compareLeases(context, worker, heartbeat.leases);
}

/** A worker known only by what the journal says it holds; it must show itself within `silenceMaxMs`. */
export function placeholderWorker(
  id: string,
  incarnation: string,
  silenceMaxMs: number,
  now: Instant,
): WorkerState {
  return {
    id,
    incarnation,
    deadIncarnations: [],
    heartbeat: undefined,
    inventoryKey: '',
    lastHeardAtMs: now.monotonicMs,
    lastHeardWallMs: now.wallMs,
    intervalMs: INTERVAL_DEFAULT_MS,
    silenceMaxMs,
    hearingSinceMs: now.monotonicMs,
    leases: new Map(),
    inUse: { slots: 0, cpuMillis: 0, memoryBytes: 0, gpuIds: new Set() },
    foreignLeases: 0,
    pausedUntilMs: Number.NEGATIVE_INFINITY,
  };
}

function newWorkerState(
  heartbeat: WorkerHeartbeat,
  previous: WorkerState | undefined,
  now: Instant,
): WorkerState {
  const { workerId, incarnation } = heartbeat;
  const dead = previous === undefined ? [] : [previous.incarnation, ...previous.deadIncarnations];
  return {
    ...placeholderWorker(workerId, incarnation, 0, now),
    deadIncarnations: dead.slice(0, DEAD_INCARNATIONS_MAX),
  };
}

function intervalOf({ heartbeatInterval }: WorkerHeartbeat): number {
  const statedMs = durationMsOf(heartbeatInterval) ?? INTERVAL_DEFAULT_MS;
  return Math.min(Math.max(statedMs, INTERVAL_MIN_MS), INTERVAL_MAX_MS);
}

function noteInventory(state: SchedulerState, worker: WorkerState, heartbeat: WorkerHeartbeat): void {
  const { properties, capacity, draining, unhealthyReason } = heartbeat;
  const key = JSON.stringify([properties, capacity, draining, unhealthyReason]);
  if (key === worker.inventoryKey) return;
  worker.inventoryKey = key;
  state.inventoryVersion += 1;
}

function compareLeases(context: StepContext, worker: WorkerState, held: readonly HeldLease[]): void {
  const heldKeys = new Set<string>();
  worker.foreignLeases = 0;
  recountInUse(worker);
  for (const lease of held) {
    heldKeys.add(leaseKey(lease.operationName, lease.epoch));
    noteHeld(context, worker, lease);
  }
  for (const [key, lease] of worker.leases) {
    if (!heldKeys.has(key)) noteNotHeld(context, worker, lease);
  }
  recountInUse(worker);
}

/** The worker has this lease: it is ours, or becomes ours again, or has to go. */
function noteHeld(context: StepContext, worker: WorkerState, { operationName, epoch }: HeldLease): void {
  const { state, outcome } = context;
  const operation = state.operations.get(operationName);
  const lease = worker.leases.get(leaseKey(operationName, epoch));
  if (lease !== undefined) lease.seen = true;
  if (operation !== undefined && lease?.phase === 'live') {
    if (operation.phase === 'offered') enterExecuting(context, operation);
    return;
  }
  if (operation !== undefined && mayReadopt(worker, operation, epoch, lease !== undefined)) {
    readopt(context, operation, worker);
    return;
  }
  if (lease === undefined) worker.foreignLeases += 1;
  if (lease?.phase === 'answered') return;
  if (operation !== undefined) {
    const { record, leaseVoid, phase } = operation;
    if (record.committedBy === committerOf(worker.id, worker.incarnation, epoch)) return;
    if (phase !== 'completed') {
      if (epoch === record.epoch && !leaseVoid) return;
      // Only the journal gives out epochs; one from the future means that it lost a record.
      if (epoch > record.epoch) {
        record.epoch = epoch;
        outcome.changed(operation);
      }
    }
  }
  const cancel = { operationName, epoch, reason: 'the lease is over' };
  outcome.emit({ kind: 'cancelLease', workerId: worker.id, cancel });
}

/** True for the newest lease of a queued operation, thought lost, when its room was not given away meanwhile. */
function mayReadopt(
  worker: WorkerState,
  { phase, record, newestLease, leaseVoid }: OperationState,
  epoch: number,
  roomIsKept: boolean,
): boolean {
  if (phase !== 'queued' || epoch !== record.epoch || leaseVoid) return false;
  if (newestLease?.workerId !== worker.id || newestLease.incarnation !== worker.incarnation) return false;
  const { reserved } = newestLease;
  return roomIsKept || (reserved !== undefined && hasRoomFor(reserved, capacityOf(worker), worker.inUse));
}

/** The worker does not have this lease: it never took it up, or is done with it. */
function noteNotHeld(context: StepContext, worker: WorkerState, lease: WorkerLease): void {
  const { state, now } = context;
  const { operationName, epoch, phase, seen, touchedAtMs } = lease;
  const settled = now.monotonicMs - touchedAtMs > INTERVALS_SETTLE * worker.intervalMs;
  if (phase !== 'answered' && !seen && !settled) return;
  const operation = state.operations.get(operationName);
  if (operation === undefined || phase !== 'live') {
    worker.leases.delete(leaseKey(operationName, epoch));
  } else if (operation.phase === 'executing') {
    const reason = 'the worker no longer holds the lease';
    loseLease(context, operation, { reason, kind: 'free', room: 'over' });
  }
}
