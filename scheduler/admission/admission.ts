import type { ActionCache } from '../../cache/action-cache.ts';
import type { BlobOptions, BlobStore } from '../../cache/blob-store.ts';
import type { BlobStoreOf } from '../../cache/blob-store-of.ts';
import { SmallBlobCachingBlobStore } from '../../cache/blobs/small-blob-caching-blob-store.ts';
import { SmallBlobMemory } from '../../cache/blobs/small-blob-memory.ts';
import { Semaphore } from '../../core/concurrency.ts';
import { Digest } from '../../core/digest.ts';
import { failedPrecondition, type IngotError, invalidArgument } from '../../core/error.ts';
import { missingBlobs } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { checkInstanceName } from '../../core/resource-name.ts';
import {
  Action,
  type ActionResult,
  Command,
  type ExecuteRequest,
  type RequestMetadata,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Clock } from '../clock.ts';
import { invocationOf } from '../invocation-of.ts';
import { parsePlatformRequest } from '../matching/platform-request.ts';
import type { Submission } from '../state/scheduler-event.ts';
import { durationMsOf } from '../state/timestamp.ts';
import { checkCommand } from './check-command.ts';
import { missingInputs } from './missing-inputs.ts';
import { PRIORITY_MAX, PRIORITY_MIN } from './priority-range.ts';
import { readMessage } from './read-message.ts';

/** Absent blobs an error names, some 130 bytes each: what fits a default gRPC message. */
const MISSING_NAMED_MAX = 20_000;
/** Memory for Directory messages of recent actions. */
const DIRECTORY_CACHE_BYTES = 64 * 1024 * 1024;

/** Input roots looked through at once; a large one takes some 100 MB meanwhile. */
const CHECKS_AT_ONCE = 16;

/** What is to become of an ExecuteRequest. */
export type Admitted =
  /** It need not run. */
  | { readonly kind: 'cached'; readonly actionDigest: Digest; readonly result: ActionResult }
  | { readonly kind: 'submission'; readonly submission: Submission };

/** What {@link Admission} depends on. */
export interface AdmissionDependencies {
  readonly blobStoreOf: BlobStoreOf;
  readonly actionCache: ActionCache;
  readonly clock: Clock;
  /** Longest timeout an action may ask for. */
  readonly actionTimeoutMaxMs: number;
  readonly newOperationName: (instanceName: string) => string;
}

/** An ExecuteRequest with its wire values parsed. */
interface ParsedRequest {
  /** Of the operation, should there be one. */
  readonly name: string;
  readonly request: ExecuteRequest;
  readonly actionDigest: Digest;
  readonly requestMetadata: RequestMetadata | undefined;
}

/**
 * Decides what becomes of an ExecuteRequest: answered from the cache, or fit to run, or refused. Everything that can be
 * wrong with an action is found here, before it is accepted, and before anything is written.
 */
export class Admission {
  readonly #dependencies: AdmissionDependencies;
  /** Of all instances: what it holds is asked for by `findMissing` in the action's own. */
  readonly #directories = new SmallBlobMemory({ bytesMax: DIRECTORY_CACHE_BYTES });
  readonly #checks = new Semaphore(CHECKS_AT_ONCE);

  constructor(dependencies: AdmissionDependencies) {
    this.#dependencies = dependencies;
  }

  /** The action a request names; INVALID_ARGUMENT when the request itself is malformed. */
  parse(request: ExecuteRequest): Digest {
    checkInstanceName(request.instanceName);
    const priority = request.executionPolicy?.priority ?? 0;
    if (priority < PRIORITY_MIN || priority > PRIORITY_MAX) {
      throw invalidArgument(
        `execution_policy.priority is ${priority}, expected ${PRIORITY_MIN} to ${PRIORITY_MAX}`,
      );
    }
    const cachePriority = request.resultsCachePolicy?.priority ?? 0;
    if (cachePriority !== 0) {
      throw invalidArgument(
        `results_cache_policy.priority is ${cachePriority}, expected 0: no others are announced`,
      );
    }
    return Digest.fromMessage(request.actionDigest, request.digestFunction);
  }

  /** FAILED_PRECONDITION with MISSING violations for what is not uploaded; INVALID_ARGUMENT for what cannot run. */
  async admit(
    request: ExecuteRequest,
    requestMetadata: RequestMetadata | undefined,
    io: IoOptions = {},
  ): Promise<Admitted> {
    const actionDigest = this.parse(request);
    const { blobStoreOf, actionCache, clock } = this.#dependencies;
    const blobStore = blobStoreOf(request.instanceName);
    const name = this.#dependencies.newOperationName(request.instanceName);
    // In its build's name, so that the cache keeps what the action needs; see InputLeases.
    const options = { ...io, invocationId: invocationOf(name, requestMetadata) };
    const lookedUpAtMs = clock.now().monotonicMs;
    const key = { instanceName: request.instanceName, actionDigest };
    const [action, result] = await Promise.all([
      readMessage(blobStore, actionDigest, Action, 'action', options),
      request.skipCacheLookup ? undefined : actionCache.get(key, options),
    ]);
    if (action === undefined) throw missing([actionDigest], 'the action');
    if (result !== undefined && !action.doNotCache) return { kind: 'cached', actionDigest, result };
    const parsed = { name, request, actionDigest, requestMetadata };
    return await this.#checks.run(async () => {
      const submission = await this.#submission(parsed, action, lookedUpAtMs, options);
      return { kind: 'submission', submission };
    }, options);
  }

  async #submission(
    { name, request, actionDigest, requestMetadata }: ParsedRequest,
    action: Action,
    lookedUpAtMs: number,
    options: BlobOptions,
  ): Promise<Submission> {
    this.#checkTimeout(action);
    const blobStore = this.#dependencies.blobStoreOf(request.instanceName);
    const command = await this.#checkInputs(action, actionDigest, blobStore, options);
    const { request: resources, properties } = parsePlatformRequest(action.platform ?? command.platform);
    const { instanceName, skipCacheLookup, executionPolicy } = request;
    return {
      name,
      instanceName,
      digestFunction: actionDigest.digestFunction,
      actionDigest: actionDigest.toMessage(),
      doNotCache: action.doNotCache,
      skipCacheLookup,
      priority: executionPolicy?.priority ?? 0,
      properties,
      request: resources,
      timeout: action.timeout,
      requestMetadata,
      lookedUpAtMs,
    };
  }

  #checkTimeout({ timeout }: Action): void {
    const timeoutMs = durationMsOf(timeout);
    if (timeoutMs === undefined) return;
    const { actionTimeoutMaxMs } = this.#dependencies;
    if (timeoutMs < 0 || timeoutMs > actionTimeoutMaxMs) {
      throw invalidArgument(
        `action timeout is ${timeoutMs / 1000} s, expected 0 to ${actionTimeoutMaxMs / 1000} s`,
      );
    }
  }

  /** Command and input root, all that is absent of both together. */
  async #checkInputs(
    action: Action,
    actionDigest: Digest,
    blobStore: BlobStore,
    options: BlobOptions,
  ): Promise<Command> {
    const { digestFunction } = actionDigest;
    const commandDigest = Digest.fromMessage(action.commandDigest, digestFunction);
    const inputRootDigest = Digest.fromMessage(action.inputRootDigest, digestFunction);
    const command = await readMessage(blobStore, commandDigest, Command, 'command', options);
    if (command !== undefined) checkCommand(command);
    const directories = new SmallBlobCachingBlobStore({ inner: blobStore, memory: this.#directories });
    const stores = { directories, blobs: blobStore };
    const [absent] = await Promise.all([
      missingInputs(stores, inputRootDigest, options),
      // Read just now; this is for the cache to keep them as well.
      blobStore.findMissing([actionDigest, commandDigest], options),
    ]);
    if (command === undefined) throw missing([commandDigest, ...absent], 'the command');
    if (absent.length > 0) throw missing(absent, 'inputs');
    return command;
  }
}

function missing(digests: readonly Digest[], what: string): IngotError {
  const named = digests.slice(0, MISSING_NAMED_MAX);
  const rest = digests.length > named.length ? `, ${named.length} of them named here` : '';
  return failedPrecondition(`${what} must be uploaded first: ${digests.length} blobs are missing${rest}`, {
    details: [missingBlobs(named)],
  });
}
