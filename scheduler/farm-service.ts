import type { Caller } from '../core/caller.ts';
import type { ServiceImplementation } from '../core/rpc/rpc-service.ts';
import type { Resources } from '../proto/gen/ingot/v1/bus.ts';
import type { CacheStatus, FarmDefinition, FarmStatus, WorkerStatus } from '../proto/gen/ingot/v1/farm.ts';
import type { Clock } from './clock.ts';
import type { Scheduler } from './engine/scheduler.ts';
import { isVisible } from './operation-visibility.ts';
import type { SchedulerCounters } from './scheduler-counters.ts';
import type { SchedulerState } from './state/scheduler-state.ts';
import { durationOf, timestampOf } from './state/timestamp.ts';
import { capacityOf, type WorkerState } from './state/worker-state.ts';

/** What {@link farmService} depends on. */
export interface FarmServiceDependencies {
  readonly scheduler: Scheduler;
  readonly counters: SchedulerCounters;
  readonly clock: Clock;
  readonly version: string;
  /** Which message bus the farm runs on, for people. */
  readonly busDescription: string;
  /** How the cache stands, where that is known here. */
  readonly cacheStatus?: (() => CacheStatus) | undefined;
}

/** Tells people and scripts how the farm stands. */
export function farmService(dependencies: FarmServiceDependencies): ServiceImplementation<FarmDefinition> {
  return {
    async getStatus(_request, { caller }) {
      return statusOf(dependencies, caller);
    },
  };
}

/** The farm as this caller sees it: operations of instances that are not its own are counted, not named. */
export function statusOf(
  { scheduler, counters, clock, version, busDescription, cacheStatus }: FarmServiceDependencies,
  caller: Caller,
): FarmStatus {
  const { state } = scheduler;
  const workers = [...state.workers.values()].filter(({ heartbeat }) => heartbeat !== undefined);
  return {
    version,
    uptime: durationOf(clock.now().monotonicMs - state.startedAtMs),
    workers: workers
      .map((worker) => workerStatus(state, worker, caller))
      .sort((a, b) => (a.workerId < b.workerId ? -1 : 1)),
    queued: state.queuedCount + state.offered.size,
    executing: state.operations.size - state.completed.size - state.queuedCount - state.offered.size,
    completed: state.completedTotal,
    actionCacheHits: counters.actionCacheHits,
    joined: state.joinedTotal,
    bus: busDescription,
    cache: cacheStatus?.(),
  };
}

function workerStatus(state: SchedulerState, worker: WorkerState, caller: Caller): WorkerStatus {
  const live = [...worker.leases.values()].filter(({ phase }) => phase === 'live');
  return {
    workerId: worker.id,
    hostName: worker.heartbeat?.hostName ?? '',
    properties: worker.heartbeat?.properties ?? [],
    capacity: capacityOf(worker),
    free: freeOf(worker),
    draining: worker.heartbeat?.draining ?? false,
    unhealthyReason: worker.heartbeat?.unhealthyReason ?? '',
    lastHeartbeat: timestampOf(worker.lastHeardWallMs),
    operationNames: live
      .map(({ operationName }) => operationName)
      .filter((name) => isVisible(caller, state.operations.get(name))),
  };
}

/** Never below zero: a worker may shrink while it is in use. */
function freeOf(worker: WorkerState): Resources {
  const { slots, cpuMillis, memoryBytes, gpus } = capacityOf(worker);
  const { inUse } = worker;
  return {
    slots: Math.max(0, slots - inUse.slots),
    cpuMillis: Math.max(0, cpuMillis - inUse.cpuMillis),
    memoryBytes: Math.max(0, memoryBytes - inUse.memoryBytes),
    gpus: gpus.filter(({ id, unhealthyReason }) => unhealthyReason === '' && !inUse.gpuIds.has(id)),
  };
}
