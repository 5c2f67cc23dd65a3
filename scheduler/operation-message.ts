import { packAny } from '../core/error-details.ts';
import {
  ExecuteOperationMetadata,
  ExecuteResponse,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Operation } from '../proto/gen/google/longrunning/operations.ts';
import type { OperationView } from './state/operation-view.ts';

/** Full protobuf names of what an execution's operation carries. */
const METADATA_TYPE = 'build.bazel.remote.execution.v2.ExecuteOperationMetadata';
const RESPONSE_TYPE = 'build.bazel.remote.execution.v2.ExecuteResponse';

/** A view as REAPI's clients are sent it. `error` is never set: how a run failed is said in its ExecuteResponse. */
export function toOperation(view: OperationView): Operation {
  const { name, stage, actionDigest, digestFunction, stdoutStreamName, stderrStreamName, response } = view;
  const metadata: ExecuteOperationMetadata = {
    stage,
    actionDigest,
    stdoutStreamName,
    stderrStreamName,
    partialExecutionMetadata: view.metadata,
    digestFunction,
  };
  return {
    name,
    metadata: packAny(ExecuteOperationMetadata, METADATA_TYPE, metadata),
    done: response !== undefined,
    result:
      response === undefined
        ? undefined
        : { $case: 'response', value: packAny(ExecuteResponse, RESPONSE_TYPE, response) },
  };
}
