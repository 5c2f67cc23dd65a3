import { Code } from '../../proto/gen/google/rpc/code.ts';
import { fail, forget } from './ending.ts';
import type { Instant } from './instant.ts';
import type { OperationState } from './operation-state.ts';
import { viewOf } from './operation-view.ts';
import { enqueue } from './queueing.ts';
import type { EventOf } from './scheduler-event.ts';
import type { SchedulerState } from './scheduler-state.ts';
import type { StepContext } from './step-context.ts';
import { unknownOperation } from './unknown-operation.ts';

/** One more client waits. */
export function addWaiter(state: SchedulerState, operation: OperationState): void {
  operation.waiters += 1;
  state.waiterless.delete(operation);
}

/** One more request is answered by this run, which is as urgent as the most urgent of them. */
export function join(state: SchedulerState, operation: OperationState, priority: number): void {
  state.joinedTotal += 1;
  if (priority >= operation.record.priority || operation.phase === 'completed') return;
  operation.record.priority = priority;
  if (operation.phase === 'queued') enqueue(state, operation);
}

/** Joins an operation by name: the answer is how it stands, and notifications follow. */
export function onAttach(context: StepContext, { token, name, joinPriority }: EventOf<'attach'>): void {
  const { state, outcome } = context;
  const operation = state.operations.get(name);
  if (operation === undefined) {
    const error = unknownOperation(name);
    outcome.emit({ kind: 'refuse', token, error });
    return;
  }
  if (joinPriority !== undefined) join(state, operation, joinPriority);
  addWaiter(state, operation);
  outcome.emit({ kind: 'answer', token, view: viewOf(operation) });
}

/** One client less waits. The last one's leaving starts the time after which the operation is dropped. */
export function onDetach(state: SchedulerState, { name }: EventOf<'detach'>, now: Instant): void {
  const operation = state.operations.get(name);
  if (operation === undefined || operation.waiters === 0) return;
  operation.waiters -= 1;
  if (operation.waiters > 0 || operation.phase === 'completed') return;
  operation.waiterlessSinceMs = now.monotonicMs;
  state.waiterless.add(operation);
}

/** Drops an operation that is finished, and no other. */
export function onForget(context: StepContext, { name }: EventOf<'forget'>): void {
  const operation = context.state.operations.get(name);
  if (operation?.phase === 'completed') forget(context, operation);
}

/** Ends an operation for everyone who waits for it. A result that is being filed just now still counts. */
export function onCancel(context: StepContext, { name, reason }: EventOf<'cancel'>): void {
  const { state } = context;
  const operation = state.operations.get(name);
  if (operation === undefined || operation.phase === 'completed') return;
  if (operation.phase === 'committing') operation.cancelReason = reason;
  else fail(context, operation, Code.CANCELLED, reason);
}
