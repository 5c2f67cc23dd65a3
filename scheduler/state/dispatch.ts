import { type Candidate, chooseWorker, type Placement } from '../matching/choose-worker.ts';
import { type Ranked, RankedQueue } from '../matching/ranked-queue.ts';
import { shortfalls } from '../matching/shortfall.ts';
import { enterOffered } from './leasing.ts';
import type { OperationState } from './operation-state.ts';
import { headOf } from './queueing.ts';
import type { PlatformQueue, SchedulerState } from './scheduler-state.ts';
import type { StepContext } from './step-context.ts';
import { capacityOf, takesOffers, type WorkerState } from './worker-state.ts';

interface Head extends Ranked {
  readonly platform: PlatformQueue;
  readonly operation: OperationState;
}

interface OpenWorker extends Candidate {
  readonly worker: WorkerState;
}

/**
 * Offers what is queued to workers with room, in order of rank across all platforms. An operation that has waited
 * long and still finds no room gets a worker reserved: nothing behind it in the order may use that one, so that
 * room for it gathers there.
 */
export function dispatch(context: StepContext): void {
  const { state, now } = context;
  if (state.queuedCount === 0 || !anyRoom(state, now.monotonicMs)) return;
  const reservedIds = new Set<string>();
  const heads = new RankedQueue<Head>();
  for (const platform of state.queues.values()) pushHead(heads, platform);
  for (let head = heads.pop(); head !== undefined; head = heads.pop()) {
    const { platform, operation } = head;
    const placement = place(state, platform, operation, reservedIds, now.monotonicMs);
    if (placement === undefined) {
      reserve(state, platform, operation, reservedIds, now.monotonicMs);
      continue;
    }
    platform.queue.pop();
    enterOffered(context, operation, placement.worker.worker, placement.reserved);
    pushHead(heads, platform);
  }
}

/** Workers that could run the platform's operations when empty, whether or not they take offers now. */
export function eligibleWorkers(state: SchedulerState, platform: PlatformQueue): readonly WorkerState[] {
  if (platform.eligibleVersion !== state.inventoryVersion) {
    platform.eligibleVersion = state.inventoryVersion;
    platform.eligible = [...state.workers.values()].filter(
      (worker) =>
        worker.heartbeat !== undefined &&
        shortfalls(platform.requirement, {
          workerId: worker.id,
          properties: worker.heartbeat.properties,
          capacity: capacityOf(worker),
        }).length === 0,
    );
  }
  return platform.eligible;
}

function anyRoom(state: SchedulerState, nowMs: number): boolean {
  for (const worker of state.workers.values()) {
    if (worker.inUse.slots < capacityOf(worker).slots && takesOffers(worker, nowMs)) return true;
  }
  return false;
}

function pushHead(heads: RankedQueue<Head>, platform: PlatformQueue): void {
  const entry = headOf(platform);
  if (entry === undefined) return;
  heads.push({ rank: entry.rank, sequence: entry.sequence, platform, operation: entry.operation });
}

function place(
  state: SchedulerState,
  platform: PlatformQueue,
  { record }: OperationState,
  reservedIds: ReadonlySet<string>,
  nowMs: number,
): Placement<OpenWorker> | undefined {
  const candidates: OpenWorker[] = [];
  for (const worker of eligibleWorkers(state, platform)) {
    if (reservedIds.has(worker.id) || !takesOffers(worker, nowMs)) continue;
    candidates.push({
      worker,
      workerId: worker.id,
      capacity: capacityOf(worker),
      inUse: worker.inUse,
      failedBefore: record.attempts.some(({ workerId }) => workerId === worker.id),
    });
  }
  return chooseWorker(platform.requirement, candidates);
}

/** Keeps to the worker reserved before, while it still fits: room gathers only where one waits in one place. */
function reserve(
  state: SchedulerState,
  platform: PlatformQueue,
  operation: OperationState,
  reservedIds: Set<string>,
  nowMs: number,
): void {
  if (nowMs - operation.acceptedAtMs < state.limits.reserveAfterMs) return;
  const usable = eligibleWorkers(state, platform).filter(
    (worker) => !reservedIds.has(worker.id) && takesOffers(worker, nowMs),
  );
  const kept = usable.find(({ id }) => id === operation.reservedWorkerId);
  const chosen = kept ?? usable.toSorted((a, b) => load(a) - load(b) || (a.id < b.id ? -1 : 1))[0];
  operation.reservedWorkerId = chosen?.id;
  if (chosen !== undefined) reservedIds.add(chosen.id);
}

function load(worker: WorkerState): number {
  return worker.inUse.slots / Math.max(capacityOf(worker).slots, 1);
}
