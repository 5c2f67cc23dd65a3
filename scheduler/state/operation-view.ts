import { packAny } from '../../core/error-details.ts';
import { formatLogName } from '../../core/resource-name.ts';
import {
  type DigestFunction_Value,
  type Digest as DigestMessage,
  type ExecutedActionMetadata,
  ExecutedActionMetadata as ExecutedActionMetadataCodec,
  type ExecuteResponse,
  ExecutionStage_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Attempt } from '../../proto/gen/ingot/v1/journal.ts';
import type { OperationState } from './operation-state.ts';

/** The full protobuf name under which earlier attempts are listed in an operation's metadata. */
export const ATTEMPT_TYPE = 'ingot.v1.Attempt';

/** An operation at one moment, as its clients may see it. Never changes. */
export interface OperationView {
  readonly name: string;
  readonly stage: ExecutionStage_Value;
  readonly actionDigest: DigestMessage | undefined;
  readonly digestFunction: DigestFunction_Value;
  /** Empty until a worker has it. */
  readonly stdoutStreamName: string;
  readonly stderrStreamName: string;
  /** What is known so far; its auxiliary metadata hold the ended attempts. */
  readonly metadata: ExecutedActionMetadata;
  /** Set when done. */
  readonly response: ExecuteResponse | undefined;
}

/** Takes the view of an operation. */
export function viewOf(operation: OperationState): OperationView {
  const { record, phase, progress, newestLease } = operation;
  const attempts = record.attempts.map((attempt) => packAny(Attempt, ATTEMPT_TYPE, attempt));
  const known = progress ?? ExecutedActionMetadataCodec.create({ worker: newestLease?.workerId ?? '' });
  return {
    name: record.name,
    stage: stageOf(phase),
    actionDigest: record.actionDigest,
    digestFunction: record.digestFunction,
    ...logNamesOf(operation),
    metadata: {
      ...known,
      queuedTimestamp: record.queuedTimestamp,
      auxiliaryMetadata: [...known.auxiliaryMetadata, ...attempts],
    },
    response: record.response,
  };
}

/** Where the output of the newest attempt is streamed; each epoch has a stream of its own, since one has ended. */
export function logNamesOf({ record }: OperationState): {
  stdoutStreamName: string;
  stderrStreamName: string;
} {
  const { name, instanceName, epoch } = record;
  if (epoch === 0) return { stdoutStreamName: '', stderrStreamName: '' };
  const id = name.slice(name.lastIndexOf('/') + 1);
  const operationId = epoch === 1 ? id : `${id}.${epoch}`;
  return {
    stdoutStreamName: formatLogName({ instanceName, operationId, stream: 'stdout' }),
    stderrStreamName: formatLogName({ instanceName, operationId, stream: 'stderr' }),
  };
}

function stageOf(phase: OperationState['phase']): ExecutionStage_Value {
  switch (phase) {
    case 'queued':
    case 'offered':
      return ExecutionStage_Value.QUEUED;
    case 'executing':
    case 'committing':
      return ExecutionStage_Value.EXECUTING;
    case 'completed':
      return ExecutionStage_Value.COMPLETED;
  }
}
