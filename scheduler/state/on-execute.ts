import { failedPrecondition, type IngotError, resourceExhausted, unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import { OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';
import { type Requirement, requirementOf } from '../matching/requirement.ts';
import { shortfalls, type WorkerOffer } from '../matching/shortfall.ts';
import { describeUnsatisfiable } from '../matching/unsatisfiable.ts';
import type { Instant } from './instant.ts';
import { joinKeyOf } from './join-key.ts';
import { newOperationState } from './new-operation-state.ts';
import type { OperationState } from './operation-state.ts';
import { viewOf } from './operation-view.ts';
import { enqueue } from './queueing.ts';
import type { EventOf, Submission } from './scheduler-event.ts';
import type { SchedulerState } from './scheduler-state.ts';
import type { StepContext } from './step-context.ts';
import { timestampOf } from './timestamp.ts';
import { addWaiter, join } from './waiting.ts';
import { capacityOf } from './worker-state.ts';

/** When a client may try again after the queue was full. */
const QUEUE_FULL_RETRY_MS = 10_000;

/** Joins a run of the same action that is under way, or accepts the action as a new operation, or refuses it. */
export function onExecute(context: StepContext, { token, submission }: EventOf<'execute'>): void {
  const { state, now, outcome } = context;
  const shared = findShared(state, submission);
  if (shared !== undefined) {
    join(state, shared, submission.priority);
    addWaiter(state, shared);
    outcome.emit({ kind: 'answer', token, view: viewOf(shared) });
    return;
  }
  const requirement = requirementOf(submission.request, submission.properties);
  const refusal = refusalOf(state, requirement, now);
  if (refusal !== undefined) {
    outcome.emit({ kind: 'refuse', token, error: refusal });
    return;
  }
  const operation = accept(state, submission, requirement, now);
  addWaiter(state, operation);
  outcome.changed(operation);
  outcome.emit({ kind: 'answer', token, view: viewOf(operation) });
}

/** The run that answers this request too: one under way, or one that ended since the action cache was asked. */
function findShared(state: SchedulerState, submission: Submission): OperationState | undefined {
  const key = joinKeyOf(submission);
  if (key === undefined) return undefined;
  const running = state.inFlight.get(key);
  if (running !== undefined) return running;
  const finished = state.finished.get(key);
  return finished !== undefined && finished.completedAtMs >= submission.lookedUpAtMs ? finished : undefined;
}

function accept(
  state: SchedulerState,
  submission: Submission,
  requirement: Requirement,
  now: Instant,
): OperationState {
  const { lookedUpAtMs: _, ...kept } = submission;
  const record = OperationRecord.create({ ...kept, queuedTimestamp: timestampOf(now.wallMs) });
  const operation = newOperationState(state, record, requirement, now);
  state.operations.set(record.name, operation);
  if (operation.joinKey !== undefined) state.inFlight.set(operation.joinKey, operation);
  enqueue(state, operation);
  return operation;
}

function refusalOf(state: SchedulerState, requirement: Requirement, now: Instant): IngotError | undefined {
  const { operationsQueuedMax, platformsQueuedMax, warmUpMs } = state.limits;
  const details = [retryInfo(QUEUE_FULL_RETRY_MS)];
  if (state.queuedCount >= operationsQueuedMax) {
    return resourceExhausted(`${state.queuedCount} operations are queued, the most that is accepted`, {
      details,
    });
  }
  if (!state.queues.has(requirement.key) && state.queues.size >= platformsQueuedMax) {
    return resourceExhausted(
      `operations of ${state.queues.size} different platforms are queued, the most that is accepted`,
      { details },
    );
  }
  const workers = knownOffers(state);
  if (workers.length === 0) return undefined;
  if (workers.some((worker) => shortfalls(requirement, worker).length === 0)) return undefined;
  const message = describeUnsatisfiable(requirement, workers);
  const warmMs = state.startedAtMs + warmUpMs - now.monotonicMs;
  if (warmMs <= 0) return failedPrecondition(message);
  return unavailable(`${message}; the scheduler has just started and may not know all workers yet`, {
    details: [retryInfo(warmMs)],
  });
}

/** Of every worker heard so far, also of those that take nothing just now: they may again. */
export function knownOffers(state: SchedulerState): WorkerOffer[] {
  const offers: WorkerOffer[] = [];
  for (const worker of state.workers.values()) {
    if (worker.heartbeat === undefined) continue;
    const { properties } = worker.heartbeat;
    offers.push({ workerId: worker.id, properties, capacity: capacityOf(worker) });
  }
  return offers;
}
