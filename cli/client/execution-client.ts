import { delay } from '../../core/abort.ts';
import type { Digest } from '../../core/digest.ts';
import { internal, isIngotError, unavailable, wrap } from '../../core/error.ts';
import { unpackAny } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import {
  ExecuteOperationMetadata,
  ExecuteResponse,
  type ExecutionDefinition,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Operation } from '../../proto/gen/google/longrunning/operations.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';

/** How long a farm that had taken the action may be out of reach before we give up on it. */
const RECONNECT_MS = 5 * 60_000;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 2_000;

const METADATA_TYPE = 'build.bazel.remote.execution.v2.ExecuteOperationMetadata';
const RESPONSE_TYPE = 'build.bazel.remote.execution.v2.ExecuteResponse';

/** What is asked of {@link ExecutionClient.execute}. */
export interface ExecutionRequest {
  readonly instanceName: string;
  readonly actionDigest: Digest;
  readonly skipCacheLookup: boolean;
}

/** An operation's news. */
export interface OperationUpdate {
  readonly name: string;
  readonly metadata: ExecuteOperationMetadata | undefined;
}

interface ExecuteOptions extends IoOptions {
  readonly onUpdate?: ((update: OperationUpdate) => void) | undefined;
  /** The stream broke, and we go on trying; for people. */
  readonly onReconnect?: ((why: string) => void) | undefined;
}

interface ExecutionClientOptions {
  readonly execution: ServiceClient<ExecutionDefinition>;
  readonly reconnectMs?: number;
  readonly now?: () => number;
}

/**
 * Executes actions and does not let go of them: a stream that breaks is taken up again with WaitExecution, and
 * where the farm has forgotten the operation the action is executed again, which joins it if it still runs.
 */
export class ExecutionClient {
  readonly #options: ExecutionClientOptions;
  readonly #now: () => number;

  constructor(options: ExecutionClientOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** The answer, whatever its status. Throws when the farm does not take the action or stays away for too long. */
  async execute(request: ExecutionRequest, options: ExecuteOptions = {}): Promise<ExecuteResponse> {
    const { reconnectMs = RECONNECT_MS } = this.#options;
    let name: string | undefined;
    let heardMs = this.#now();
    let backoffMs = BACKOFF_FIRST_MS;
    for (;;) {
      try {
        for await (const operation of this.#open(request, name, options.signal)) {
          heardMs = this.#now();
          backoffMs = BACKOFF_FIRST_MS;
          name = operation.name;
          options.onUpdate?.({ name, metadata: metadataOf(operation) });
          if (operation.done) return responseOf(operation);
        }
        throw unavailable(`operation ${name}: the stream ended before the operation was done`);
      } catch (error) {
        if (name !== undefined && isIngotError(error, Code.NOT_FOUND)) {
          options.onReconnect?.('the farm no longer knows the operation');
          name = undefined;
          continue;
        }
        if (!isIngotError(error, Code.UNAVAILABLE)) throw error;
        const awayMs = this.#now() - heardMs;
        if (awayMs >= reconnectMs) {
          const what = name === undefined ? 'execute the action' : `wait for operation ${name}`;
          throw wrap(error, `${what}: tried for ${Math.round(awayMs / 1000)} s`);
        }
        options.onReconnect?.(error.message);
        await delay(backoffMs, options);
        backoffMs = Math.min(BACKOFF_MAX_MS, backoffMs * 2);
      }
    }
  }

  #open(
    request: ExecutionRequest,
    name: string | undefined,
    signal: AbortSignal | undefined,
  ): AsyncIterable<Operation> {
    const { execution } = this.#options;
    // An action may run for hours: the stream has no deadline, and keepalive notices a dead peer.
    const options = { signal, timeoutMs: 0 };
    if (name !== undefined) return execution.waitExecution({ name }, options);
    return execution.execute(
      {
        instanceName: request.instanceName,
        actionDigest: request.actionDigest.toMessage(),
        skipCacheLookup: request.skipCacheLookup,
        digestFunction: request.actionDigest.digestFunction,
        executionPolicy: undefined,
        resultsCachePolicy: undefined,
        inlineStdout: true,
        inlineStderr: true,
        inlineOutputFiles: [],
      },
      options,
    );
  }
}

/** The news in an operation, or undefined where it carries none we know. */
export function metadataOf(operation: Operation): ExecuteOperationMetadata | undefined {
  return operation.metadata && unpackAny(ExecuteOperationMetadata, METADATA_TYPE, operation.metadata);
}

/** The response of an operation that is done; INTERNAL when there is none. */
export function responseOf(operation: Operation): ExecuteResponse {
  const { result } = operation;
  if (result?.$case === 'error') {
    throw internal(`operation ${operation.name} failed: ${result.value.message}`);
  }
  const response = result && unpackAny(ExecuteResponse, RESPONSE_TYPE, result.value);
  if (response === undefined)
    throw internal(`operation ${operation.name} is done without an ExecuteResponse`);
  return response;
}
