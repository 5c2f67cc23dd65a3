import type { BlobStoreOf } from '../cache/blob-store-of.ts';
import { requireInstance } from '../core/auth/require-right.ts';
import type { Digest } from '../core/digest.ts';
import { type IngotError, isIngotError } from '../core/error.ts';
import type { Logger } from '../core/log/logger.ts';
import { checkInstanceName } from '../core/resource-name.ts';
import type { CallContext, ServiceImplementation } from '../core/rpc/rpc-service.ts';
import { STATUS_DETAILS_BYTES_MAX, statusOf } from '../core/rpc/rpc-status.ts';
import {
  ExecutedActionMetadata,
  type ExecuteRequest,
  ExecuteResponse,
  type ExecutionDefinition,
  ExecutionStage_Value,
  type RequestMetadata,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Operation } from '../proto/gen/google/longrunning/operations.ts';
import type { Admission } from './admission/admission.ts';
import type { Scheduler } from './engine/scheduler.ts';
import { inlineResponse } from './inline-response.ts';
import { toOperation } from './operation-message.ts';
import { requireVisible } from './operation-visibility.ts';
import type { SchedulerCounters } from './scheduler-counters.ts';
import { runKey } from './state/join-key.ts';
import type { OperationView } from './state/operation-view.ts';

/** What {@link executionService} depends on. */
export interface ExecutionServiceDependencies {
  readonly scheduler: Scheduler;
  readonly admission: Admission;
  readonly counters: SchedulerCounters;
  readonly newOperationName: (instanceName: string) => string;
  /** Where outputs are read that clients want inlined. */
  readonly blobStoreOf: BlobStoreOf;
  readonly logger: Logger;
}

/** Runs actions for clients: from the cache, by joining a run under way, or on a worker. */
export function executionService(
  dependencies: ExecutionServiceDependencies,
): ServiceImplementation<ExecutionDefinition> {
  const { scheduler } = dependencies;
  return {
    execute: (request, context) => execute(dependencies, request, context),
    async *waitExecution({ name }, { signal, caller }) {
      requireVisible(scheduler.state, caller, name);
      using watch = await scheduler.watch(name, { signal });
      for await (const view of watch.views({ signal })) yield toOperation(view);
    },
  };
}

async function* execute(
  dependencies: ExecutionServiceDependencies,
  request: ExecuteRequest,
  { signal, requestMetadata, caller }: CallContext,
): AsyncGenerator<Operation, void, undefined> {
  checkInstanceName(request.instanceName);
  requireInstance(caller, request.instanceName);
  const { blobStoreOf, logger } = dependencies;
  const store = blobStoreOf(request.instanceName);
  for await (const view of viewsOf(dependencies, request, requestMetadata, signal)) {
    yield toOperation(await inlineResponse(view, request, { store, logger, signal }));
  }
}

async function* viewsOf(
  { scheduler, admission, counters, newOperationName }: ExecutionServiceDependencies,
  request: ExecuteRequest,
  requestMetadata: RequestMetadata | undefined,
  signal: AbortSignal,
): AsyncGenerator<OperationView, void, undefined> {
  const actionDigest = admission.parse(request);
  // An action that runs already was found fit when it was accepted; to join it needs no look at any blob.
  const key = runKey(request.instanceName, actionDigest.digestFunction, actionDigest);
  const running = scheduler.state.inFlight.get(key);
  if (running !== undefined) {
    const priority = request.executionPolicy?.priority ?? 0;
    using watch = await scheduler.join(running.record.name, priority, { signal });
    yield* watch.views({ signal });
    return;
  }
  const admitted = await admission.admit(request, requestMetadata, { signal }).catch(tooLongForTrailers);
  if (isIngotError(admitted)) {
    yield endedView(newOperationName(request.instanceName), actionDigest, refusal(admitted));
    return;
  }
  if (admitted.kind === 'cached') {
    counters.actionCacheHits += 1;
    const response = ExecuteResponse.create({ result: admitted.result, cachedResult: true });
    yield endedView(newOperationName(request.instanceName), actionDigest, response);
    return;
  }
  using watch = await scheduler.execute(admitted.submission, { signal });
  yield* watch.views({ signal });
}

/** An error whose details are more than an RPC's status can carry; any other is thrown on. */
function tooLongForTrailers(error: unknown): IngotError {
  const isLong =
    isIngotError(error) &&
    error.details.reduce((bytes, { value }) => bytes + value.byteLength, 0) > STATUS_DETAILS_BYTES_MAX;
  if (!isLong) throw error;
  return error;
}

/** The answer that has room for a long list of missing blobs; clients look for it in both places. */
function refusal(error: IngotError): ExecuteResponse {
  return ExecuteResponse.create({ status: statusOf(error) });
}

/** An operation that was over before it began. It is not kept: who asks for it by name is told to execute again. */
function endedView(name: string, actionDigest: Digest, response: ExecuteResponse): OperationView {
  return {
    name,
    stage: ExecutionStage_Value.COMPLETED,
    actionDigest: actionDigest.toMessage(),
    digestFunction: actionDigest.digestFunction,
    stdoutStreamName: '',
    stderrStreamName: '',
    metadata: response.result?.executionMetadata ?? ExecutedActionMetadata.create(),
    response,
  };
}
