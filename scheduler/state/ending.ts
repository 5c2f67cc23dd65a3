import { retryInfo } from '../../core/error-details.ts';
import { ExecuteResponse } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { endLease } from './lease-room.ts';
import type { OperationState } from './operation-state.ts';
import { dequeue } from './queueing.ts';
import type { StepContext } from './step-context.ts';
import { timestampOf } from './timestamp.ts';

/** What a client is told to wait before it tries again something that failed for want of a worker. */
const RETRY_DELAY_MS = 5_000;

/** The end of an operation, whatever it is: the response is final, everyone waiting is told, nothing can run it again. */
export function complete(
  context: StepContext,
  operation: OperationState,
  response: ExecuteResponse,
  responseBytes: number,
): void {
  const { state, now, outcome } = context;
  const { record, joinKey } = operation;
  dequeue(state, operation);
  endLease(state, operation, 'answered');
  operation.phase = 'completed';
  operation.completedAtMs = now.monotonicMs;
  operation.responseBytes = responseBytes;
  record.response = response;
  record.completedTimestamp = timestampOf(now.wallMs);
  if (joinKey !== undefined && state.inFlight.get(joinKey) === operation) state.inFlight.delete(joinKey);
  state.waiterless.delete(operation);
  state.completed.add(operation);
  state.completedBytes += responseBytes;
  state.completedTotal += 1;
  outcome.changed(operation);
  outcome.notify(operation);
}

/** Ends an operation with a status in place of a result. The worker that may still run it is told to stop. */
export function fail(context: StepContext, operation: OperationState, code: Code, message: string): void {
  cancelLease(context, operation, message);
  const details: Any[] = code === Code.UNAVAILABLE ? [retryInfo(RETRY_DELAY_MS)] : [];
  const response = ExecuteResponse.create({ status: { code, message, details } });
  complete(context, operation, response, ExecuteResponse.encode(response).finish().byteLength);
}

/** Drops an unfinished operation nobody waits for; who asks for it later is told to execute again. */
export function abandon(context: StepContext, operation: OperationState, reason: string): void {
  const { state, outcome } = context;
  const { record, joinKey } = operation;
  cancelLease(context, operation, reason);
  dequeue(state, operation);
  if (joinKey !== undefined && state.inFlight.get(joinKey) === operation) state.inFlight.delete(joinKey);
  state.waiterless.delete(operation);
  state.operations.delete(record.name);
  outcome.forgotten(operation);
}

/** Drops a finished operation. */
export function forget(context: StepContext, operation: OperationState): void {
  const { state, outcome } = context;
  const { record, joinKey } = operation;
  state.completed.delete(operation);
  state.completedBytes -= operation.responseBytes;
  state.operations.delete(record.name);
  if (joinKey !== undefined && state.finished.get(joinKey) === operation) state.finished.delete(joinKey);
  outcome.forgotten(operation);
}

/** Asks the holder, if there is one, to stop; its room stays taken until a heartbeat says that it has. */
function cancelLease(context: StepContext, operation: OperationState, reason: string): void {
  const { state, outcome } = context;
  const { lease, name } = operation.record;
  if (lease === undefined) return;
  endLease(state, operation, 'stopping');
  outcome.emit({
    kind: 'cancelLease',
    workerId: lease.workerId,
    cancel: { operationName: name, epoch: lease.epoch, reason },
  });
}
