import {
  type ExecuteOperationMetadata,
  type ExecuteResponse,
  ExecutionStage_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Operation } from '../../proto/gen/google/longrunning/operations.ts';
import { Code, codeToJSON } from '../../proto/gen/google/rpc/code.ts';
import { metadataOf, responseOf } from '../client/execution-client.ts';

/** An operation as people and `--json` are shown it. */
export interface OperationFacts {
  readonly name: string;
  readonly stage: 'cache check' | 'queued' | 'executing' | 'done' | 'failed' | 'unknown';
  readonly worker: string;
  /** `HASH/SIZE`. */
  readonly action: string;
  /** For a finished one: its exit code, or the status it failed with. */
  readonly outcome: string;
}

const STAGES = new Map<number, OperationFacts['stage']>([
  [ExecutionStage_Value.CACHE_CHECK, 'cache check'],
  [ExecutionStage_Value.QUEUED, 'queued'],
  [ExecutionStage_Value.EXECUTING, 'executing'],
]);

/** Reads an operation. */
export function operationFacts(operation: Operation): OperationFacts {
  const metadata = metadataOf(operation);
  const action = metadata?.actionDigest;
  const common = {
    name: operation.name,
    action: action === undefined ? '' : `${action.hash}/${action.sizeBytes}`,
  };
  if (operation.done) return { ...common, ...finished(operation) };
  return {
    ...common,
    stage: STAGES.get(metadata?.stage ?? 0) ?? 'unknown',
    worker: workerOf(metadata),
    outcome: '',
  };
}

function finished(operation: Operation): Pick<OperationFacts, 'stage' | 'worker' | 'outcome'> {
  if (operation.result?.$case === 'error') {
    return { stage: 'failed', worker: '', outcome: operation.result.value.message };
  }
  const { status, result, cachedResult }: ExecuteResponse = responseOf(operation);
  const worker = result?.executionMetadata?.worker ?? '';
  if (status !== undefined && status.code !== Code.OK) {
    return { stage: 'failed', worker, outcome: codeToJSON(status.code as Code) };
  }
  return {
    stage: 'done',
    worker,
    outcome: `exit code ${result?.exitCode ?? 0}${cachedResult ? ', from the cache' : ''}`,
  };
}

function workerOf(metadata: ExecuteOperationMetadata | undefined): string {
  return metadata?.partialExecutionMetadata?.worker ?? '';
}
