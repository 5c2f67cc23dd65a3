import { isIngotError } from '../../core/error.ts';
import { PRECONDITION_FAILURE_TYPE, unpackAny } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { ExecuteResponse } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { PreconditionFailure } from '../../proto/gen/google/rpc/error_details.ts';
import type { ActionMessage } from './action-message.ts';
import { ExecutionClient, type OperationUpdate } from './execution-client.ts';
import type { FarmConnection } from './farm-connection.ts';
import type { InputBlob } from './input-blob.ts';
import type { InputTree } from './input-tree.ts';
import { type UploadTotals, uploadBlobs } from './upload-blobs.ts';

/** An action ready to be asked for, and every blob it needs. */
export interface PreparedAction {
  readonly message: ActionMessage;
  readonly tree: InputTree;
  readonly doNotCache: boolean;
}

/** What is going on, for people. */
export interface ActionEvents {
  readonly onUploadProgress?: (uploadedBytes: number, totalBytes: number) => void;
  readonly onUploaded?: (totals: UploadTotals) => void;
  readonly onUpdate?: (update: OperationUpdate) => void;
  readonly onReconnect?: (why: string) => void;
}

interface ActionRunOptions extends IoOptions {
  readonly events?: ActionEvents;
  /** Run it even if there is a result. */
  readonly skipCacheLookup?: boolean;
}

/** What {@link ActionRunner} needs of a farm. */
type RunnerFarm = Pick<FarmConnection, 'address' | 'blobStore' | 'actionCache' | 'execution'>;

/** Asks a farm for the result of an action: from the action cache, or by uploading its inputs and executing it. */
export class ActionRunner {
  readonly #farm: RunnerFarm;
  readonly #execution: ExecutionClient;

  constructor(farm: RunnerFarm) {
    this.#farm = farm;
    this.#execution = new ExecutionClient({ execution: farm.execution });
  }

  /**
   * The farm's answer, whatever its status. Looks into the action cache before anything is uploaded: a hit costs
   * one small call. Blobs that were evicted in between are uploaded again, once.
   */
  async run(action: PreparedAction, options: ActionRunOptions = {}): Promise<ExecuteResponse> {
    const skipCacheLookup = options.skipCacheLookup === true;
    if (!skipCacheLookup && !action.doNotCache) {
      const hit = await this.#lookUp(action, options);
      if (hit !== undefined) return hit;
    }
    const first = await this.#uploadAndExecute(action, skipCacheLookup, options);
    if (!lacksBlobs(first)) return answerOf(first);
    options.events?.onReconnect?.('the farm lost inputs meanwhile');
    return answerOf(await this.#uploadAndExecute(action, skipCacheLookup, options));
  }

  async #lookUp(action: PreparedAction, { signal }: IoOptions): Promise<ExecuteResponse | undefined> {
    const { actionDigest } = action.message;
    const { instanceName } = this.#farm.address;
    try {
      const result = await this.#farm.actionCache.getActionResult(
        {
          instanceName,
          actionDigest: actionDigest.toMessage(),
          inlineStdout: true,
          inlineStderr: true,
          inlineOutputFiles: [],
          digestFunction: actionDigest.digestFunction,
        },
        { signal },
      );
      return { result, cachedResult: true, status: undefined, serverLogs: {}, message: '' };
    } catch (error) {
      if (isIngotError(error, Code.NOT_FOUND)) return undefined;
      throw error;
    }
  }

  /** The response, or the error with which the farm refused the action for want of something. */
  async #uploadAndExecute(
    action: PreparedAction,
    skipCacheLookup: boolean,
    { signal, events = {} }: ActionRunOptions,
  ): Promise<ExecuteResponse | Error> {
    const blobs = new Map<string, InputBlob>(action.tree.blobs);
    for (const blob of action.message.blobs) blobs.set(blob.digest.key, blob);
    const totals = await uploadBlobs(this.#farm.blobStore, blobs, {
      signal,
      onProgress: events.onUploadProgress,
    });
    events.onUploaded?.(totals);
    const { actionDigest } = action.message;
    const { instanceName } = this.#farm.address;
    try {
      return await this.#execution.execute(
        { instanceName, actionDigest, skipCacheLookup },
        { signal, onUpdate: events.onUpdate, onReconnect: events.onReconnect },
      );
    } catch (error) {
      if (isIngotError(error, Code.FAILED_PRECONDITION)) return error;
      throw error;
    }
  }
}

function answerOf(outcome: ExecuteResponse | Error): ExecuteResponse {
  if (outcome instanceof Error) throw outcome;
  return outcome;
}

/** True when it says, in either of the two places REAPI has for it, that blobs must be uploaded first. */
function lacksBlobs(outcome: ExecuteResponse | Error): boolean {
  const details: readonly Any[] = isIngotError(outcome)
    ? outcome.details
    : outcome instanceof Error || outcome.status?.code !== Code.FAILED_PRECONDITION
      ? []
      : outcome.status.details;
  return details.some((detail) =>
    unpackAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, detail)?.violations.some(
      ({ type }) => type === 'MISSING',
    ),
  );
}
