import { linkedAbort } from '../core/abort.ts';
import type { Caller } from '../core/caller.ts';
import { invalidArgument, isIngotError } from '../core/error.ts';
import { quote } from '../core/quote.ts';
import type { ServiceImplementation } from '../core/rpc/rpc-service.ts';
import type {
  ListOperationsRequest,
  ListOperationsResponse,
  Operation,
  OperationsDefinition,
  WaitOperationRequest,
} from '../proto/gen/google/longrunning/operations.ts';
import { Code } from '../proto/gen/google/rpc/code.ts';
import type { Scheduler } from './engine/scheduler.ts';
import { parseOperationFilter } from './operation-filter.ts';
import { toOperation } from './operation-message.ts';
import { isVisible, requireVisible } from './operation-visibility.ts';
import { viewOf } from './state/operation-view.ts';
import { durationMsOf } from './state/timestamp.ts';

/** Operations an answer holds, when the client does not say, and at most: each has some KiB when it is done. */
const PAGE_OPERATIONS_DEFAULT = 100;
const PAGE_OPERATIONS_MAX = 500;
/** Bytes of operations after which a page ends early, so that it fits the 4 MiB gRPC clients take. */
const PAGE_BYTES_MAX = 3 * 1024 * 1024;

/** What {@link operationsService} depends on. */
export interface OperationsServiceDependencies {
  readonly scheduler: Scheduler;
}

/** Operations by name, for tools and people. */
export function operationsService({
  scheduler,
}: OperationsServiceDependencies): ServiceImplementation<OperationsDefinition> {
  return {
    async getOperation({ name }, { signal, caller }) {
      requireVisible(scheduler.state, caller, name);
      // Asking by way of a watch counts as waiting: who polls keeps the operation alive.
      using watch = await scheduler.watch(name, { signal });
      return toOperation(watch.view);
    },
    async listOperations(request, { caller }) {
      return await listOperations(scheduler, request, caller);
    },
    async cancelOperation({ name }, { caller }) {
      requireVisible(scheduler.state, caller, name);
      await scheduler.cancel(name, 'the operation was cancelled by CancelOperation');
      return {};
    },
    async deleteOperation({ name }, { caller }) {
      requireVisible(scheduler.state, caller, name);
      await scheduler.forget(name);
      return {};
    },
    async waitOperation(request, { signal, caller }) {
      requireVisible(scheduler.state, caller, request.name);
      return await waitOperation(scheduler, request, signal);
    },
  };
}

/** In order of acceptance. `name` is an instance name: empty lists all that are the caller's. */
async function listOperations(
  scheduler: Scheduler,
  { name, filter, pageSize, pageToken }: ListOperationsRequest,
  caller: Caller,
): Promise<ListOperationsResponse> {
  const matches = parseOperationFilter(filter);
  const afterSequence = parsePageToken(pageToken);
  if (pageSize < 0) throw invalidArgument(`page_size is ${pageSize}, expected 0 or more`);
  const operationsMax = Math.min(pageSize || PAGE_OPERATIONS_DEFAULT, PAGE_OPERATIONS_MAX);
  const found = [...scheduler.state.operations.values()]
    .filter(
      ({ sequence, record }) => sequence > afterSequence && (name === '' || record.instanceName === name),
    )
    .filter((operation) => isVisible(caller, operation) && matches(operation))
    .sort((a, b) => a.sequence - b.sequence);
  const operations: Operation[] = [];
  let bytes = 0;
  let lastSequence = 0;
  for (const operation of found) {
    const message = toOperation(viewOf(operation));
    bytes += (message.metadata?.value.byteLength ?? 0) + operation.responseBytes;
    const full = operations.length >= operationsMax || (operations.length > 0 && bytes > PAGE_BYTES_MAX);
    if (full) break;
    operations.push(message);
    lastSequence = operation.sequence;
  }
  // What is shown may have been decided just now: it is not shown before it is durable.
  await scheduler.settled();
  const nextPageToken = operations.length < found.length ? String(lastSequence) : '';
  return { operations, nextPageToken, unreachable: [] };
}

function parsePageToken(token: string): number {
  if (token === '') return 0;
  if (!/^\d{1,15}$/.test(token)) {
    throw invalidArgument(`page_token ${quote(token)} was not given by ListOperations`);
  }
  return Number(token);
}

/** Until it is done, or for as long as the client says; then as it is. */
async function waitOperation(
  scheduler: Scheduler,
  { name, timeout }: WaitOperationRequest,
  signal: AbortSignal,
): Promise<Operation> {
  using watch = await scheduler.watch(name, { signal });
  using abort = linkedAbort(signal, { timeoutMs: durationMsOf(timeout) });
  try {
    for await (const _ of watch.views({ signal: abort.signal })) {
      // Only the last one counts.
    }
  } catch (error) {
    if (signal.aborted || !isIngotError(error, Code.DEADLINE_EXCEEDED)) throw error;
  }
  return toOperation(watch.view);
}
