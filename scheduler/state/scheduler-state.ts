import type { RankedQueue } from '../matching/ranked-queue.ts';
import type { Requirement } from '../matching/requirement.ts';
import type { Instant } from './instant.ts';
import type { OperationState, QueueEntry } from './operation-state.ts';
import type { SchedulerLimits } from './scheduler-limits.ts';
import type { WorkerState } from './worker-state.ts';

/** The queue of all operations that need the same of a worker. */
export interface PlatformQueue {
  readonly requirement: Requirement;
  readonly queue: RankedQueue<QueueEntry>;
  /** Entries of it that are not void. */
  liveCount: number;
  /** Workers that could run them when empty, as of `eligibleVersion` of the inventory. */
  eligible: readonly WorkerState[];
  eligibleVersion: number;
  /** Since when there is no such worker; undefined while there is one. */
  workerlessSinceMs: number | undefined;
}

/**
 * Everything the scheduler knows. Changed only by `step`; others may look. What must survive a restart is in the
 * operations' records, the rest is learned anew.
 */
export interface SchedulerState {
  readonly limits: SchedulerLimits;
  readonly startedAtMs: number;
  readonly operations: Map<string, OperationState>;
  /** Unfinished operations that others may join, by join key. */
  readonly inFlight: Map<string, OperationState>;
  /** The newest finished run by join key, when its result went into the action cache. */
  readonly finished: Map<string, OperationState>;
  readonly workers: Map<string, WorkerState>;
  /** By requirement key; only those with something in them. */
  readonly queues: Map<string, PlatformQueue>;
  queuedCount: number;
  /** Operations in phase `offered`. */
  readonly offered: Set<OperationState>;
  /** Unfinished operations nobody waits for. */
  readonly waiterless: Set<OperationState>;
  /** Finished operations, oldest first. */
  readonly completed: Set<OperationState>;
  completedBytes: number;
  nextSequence: number;
  /** Rises when matching could come to another result. */
  inventoryVersion: number;
  /** When any worker was last heard. */
  lastHeardAtMs: number;
  lastTickAtMs: number;
  /** Since the start, for people. */
  completedTotal: number;
  joinedTotal: number;
}

/** A scheduler that has just started and knows nothing yet. */
export function createSchedulerState(limits: SchedulerLimits, now: Instant): SchedulerState {
  const nowMs = now.monotonicMs;
  return {
    limits,
    startedAtMs: nowMs,
    operations: new Map(),
    inFlight: new Map(),
    finished: new Map(),
    workers: new Map(),
    queues: new Map(),
    queuedCount: 0,
    offered: new Set(),
    waiterless: new Set(),
    completed: new Set(),
    completedBytes: 0,
    nextSequence: 1,
    inventoryVersion: 1,
    lastHeardAtMs: nowMs,
    lastTickAtMs: nowMs,
    completedTotal: 0,
    joinedTotal: 0,
  };
}
