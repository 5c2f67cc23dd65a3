import type { Resources, WorkerHeartbeat } from '../../proto/gen/ingot/v1/bus.ts';
import type { ResourcesInUse } from '../matching/allocate.ts';

/** What one lease takes of a worker. */
export interface WorkerLease {
  readonly operationName: string;
  readonly epoch: number;
  readonly reserved: Resources;
  /**
   * live: the worker may commit it. Otherwise it is over for us, and keeps its room until a heartbeat comes without it:
   * answered, the worker is told so by the reply to its commit; stopping, it may be at it still, and is told to stop.
   */
  phase: 'live' | 'answered' | 'stopping';
  /** A heartbeat has shown it, so that the first one without it says that it is gone. */
  seen: boolean;
  /** When the worker last had reason to take it up; until seen, it is not missed for some time after that. */
  touchedAtMs: number;
}

/** One incarnation of a worker, known by its heartbeats, or after a restart by the leases it held. */
export interface WorkerState {
  readonly id: string;
  readonly incarnation: string;
  /** Earlier incarnations, newest first; late heartbeats of theirs are dropped. */
  readonly deadIncarnations: readonly string[];
  /** Undefined until the first heartbeat. */
  heartbeat: WorkerHeartbeat | undefined;
  /** Changes with anything that matching looks at. */
  inventoryKey: string;
  lastHeardAtMs: number;
  lastHeardWallMs: number;
  intervalMs: number;
  /** Silence after which it counts as lost. */
  silenceMaxMs: number;
  /** Since when there was no outage in which it could not have been heard; its silence counts from then. */
  hearingSinceMs: number;
  /** By {@link leaseKey}. */
  readonly leases: Map<string, WorkerLease>;
  /** Sum of the leases, and a slot for each lease it holds that is not ours. */
  inUse: ResourcesInUse;
  foreignLeases: number;
  /** No offers before this: it declined one. */
  pausedUntilMs: number;
}

/** Names a lease among those of a worker. */
export function leaseKey(operationName: string, epoch: number): string {
  return `${operationName}#${epoch}`;
}

const NO_CAPACITY: Resources = { slots: 0, cpuMillis: 0, memoryBytes: 0, gpus: [] };

/** What the worker has in all. */
export function capacityOf(worker: WorkerState): Resources {
  return worker.heartbeat?.capacity ?? NO_CAPACITY;
}

/** Adds its leases up anew; call it after any change to them. */
export function recountInUse(worker: WorkerState): void {
  let slots = worker.foreignLeases;
  let cpuMillis = 0;
  let memoryBytes = 0;
  const gpuIds = new Set<string>();
  for (const { reserved } of worker.leases.values()) {
    slots += reserved.slots;
    cpuMillis += reserved.cpuMillis;
    memoryBytes += reserved.memoryBytes;
    for (const { id } of reserved.gpus) gpuIds.add(id);
  }
  worker.inUse = { slots, cpuMillis, memoryBytes, gpuIds };
}

/** True when it may be offered work now. */
export function takesOffers(worker: WorkerState, nowMs: number): boolean {
  const { heartbeat } = worker;
  return (
    heartbeat !== undefined &&
    !heartbeat.draining &&
    heartbeat.unhealthyReason === '' &&
    nowMs >= worker.pausedUntilMs &&
    nowMs - worker.lastHeardAtMs <= worker.silenceMaxMs
  );
}
