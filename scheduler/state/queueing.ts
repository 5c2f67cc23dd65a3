import { RankedQueue } from '../matching/ranked-queue.ts';
import type { Requirement } from '../matching/requirement.ts';
import type { OperationState, QueueEntry } from './operation-state.ts';
import type { PlatformQueue, SchedulerState } from './scheduler-state.ts';

/** Fewer void entries than this are not worth a sweep of the heap. */
const VOID_ENTRIES_MIN = 64;

/**
 * Puts an operation into the queue of its platform. Its rank is the time it was accepted, moved by its priority:
 * one step of priority weighs as much as `priorityStepMs` of waiting. So nothing is overtaken for ever, and ranks
 * never have to be computed again.
 */
export function enqueue(state: SchedulerState, operation: OperationState): void {
  const { record, acceptedAtMs, sequence, requirement } = operation;
  const platform = queueOf(state, requirement);
  if (operation.queueEntry === undefined) {
    state.queuedCount += 1;
    platform.liveCount += 1;
  }
  const rank = acceptedAtMs + record.priority * state.limits.priorityStepMs;
  const entry: QueueEntry = { rank, sequence, operation };
  operation.phase = 'queued';
  operation.queueEntry = entry;
  platform.queue.push(entry);
}

/** Takes an operation out of the queue, if it is in it. Its entry stays in the heap, void, until that is worth a sweep. */
export function dequeue(state: SchedulerState, operation: OperationState): void {
  const platform = state.queues.get(operation.requirement.key);
  if (operation.queueEntry === undefined || platform === undefined) return;
  operation.queueEntry = undefined;
  operation.reservedWorkerId = undefined;
  state.queuedCount -= 1;
  platform.liveCount -= 1;
  if (platform.liveCount === 0) state.queues.delete(operation.requirement.key);
  else if (platform.queue.size > 2 * platform.liveCount + VOID_ENTRIES_MIN) platform.queue.retain(isLive);
}

/** The first entry that still counts; drops void ones before it. */
export function headOf({ queue }: PlatformQueue): QueueEntry | undefined {
  for (let entry = queue.peek(); entry !== undefined; entry = queue.peek()) {
    if (isLive(entry)) return entry;
    queue.pop();
  }
  return undefined;
}

function isLive(entry: QueueEntry): boolean {
  return entry.operation.queueEntry === entry;
}

function queueOf(state: SchedulerState, requirement: Requirement): PlatformQueue {
  let platform = state.queues.get(requirement.key);
  if (platform === undefined) {
    platform = {
      requirement,
      queue: new RankedQueue(),
      liveCount: 0,
      eligible: [],
      eligibleVersion: 0,
      workerlessSinceMs: undefined,
    };
    state.queues.set(requirement.key, platform);
  }
  return platform;
}
