import type { ActionCache } from '../../cache/action-cache.ts';
import { missingFromResult } from '../../cache/actions/result-closure.ts';
import type { BlobStore } from '../../cache/blob-store.ts';
import type { BlobStoreOf } from '../../cache/blob-store-of.ts';
import { linkedAbort } from '../../core/abort.ts';
import { decodeMessage } from '../../core/decode-message.ts';
import { Digest } from '../../core/digest.ts';
import {
  deadlineExceeded,
  failedPrecondition,
  invalidArgument,
  isIngotError,
  toIngotError,
} from '../../core/error.ts';
import { type FailPoints, noFailPoints } from '../../core/fail-point.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { collectBytes } from '../../core/streams.ts';
import {
  type ActionResult,
  ExecuteResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { Commit } from '../../proto/gen/ingot/v1/bus.ts';
import type { OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';
import { withoutInlined } from './without-inlined.ts';

/** Filing a result takes milliseconds; beyond this the cache is away and the worker shall commit again. */
const FILING_MS = 60_000;
/** Largest response: with its envelope it fits the 4 MiB that gRPC clients take by default. */
const RESPONSE_BYTES_MAX = 4 * 1024 * 1024 - 64 * 1024;

/** Where a process can be made to die while it files a result. */
export const commitFailPoints = ['commit.after_cache'] as const;

/** A commit that may be answered, or why not. */
export type FiledCommit =
  | {
      readonly kind: 'filed';
      readonly response: ExecuteResponse;
      readonly responseBytes: number;
      /** It is in the action cache. */
      readonly cached: boolean;
    }
  | { readonly kind: 'failed'; readonly reason: string; readonly retry: boolean };

/** What {@link CommitFiler} depends on. */
export interface CommitFilerDependencies {
  readonly blobStoreOf: BlobStoreOf;
  readonly actionCache: ActionCache;
  readonly failPoints?: FailPoints;
}

/**
 * Checks what a worker committed and, when it may be cached, files it: the one place that writes the action cache for
 * executed actions. Cached are results of commands that ended with exit code 0 and that nothing speaks against.
 */
export class CommitFiler {
  readonly #blobStoreOf: BlobStoreOf;
  readonly #actionCache: ActionCache;
  readonly #failPoints: FailPoints;

  constructor({ blobStoreOf, actionCache, failPoints = noFailPoints }: CommitFilerDependencies) {
    this.#blobStoreOf = blobStoreOf;
    this.#actionCache = actionCache;
    this.#failPoints = failPoints;
  }

  /** Never throws: what went wrong is in the answer. */
  async file(record: OperationRecord, commit: Commit, { signal }: IoOptions = {}): Promise<FiledCommit> {
    using abort = linkedAbort(signal, {
      timeoutMs: FILING_MS,
      timeoutError: deadlineExceeded(`the cache did not answer within ${FILING_MS} ms`),
    });
    try {
      return await this.#file(record, commit, abort);
    } catch (error) {
      const { code, message } = toIngotError(error);
      const atFault = code === Code.INVALID_ARGUMENT || code === Code.FAILED_PRECONDITION;
      return { kind: 'failed', reason: message, retry: !atFault };
    }
  }

  async #file(record: OperationRecord, commit: Commit, options: IoOptions): Promise<FiledCommit> {
    const actionDigest = Digest.fromMessage(record.actionDigest, record.digestFunction);
    const blobStore = this.#blobStoreOf(record.instanceName);
    const given = await this.#responseOf(commit, actionDigest, blobStore, options);
    const { uncacheableReason } = commit;
    const message =
      given.message === '' && uncacheableReason !== '' ? notCached(uncacheableReason) : given.message;
    const { response, responseBytes } = fitted({ ...given, message, cachedResult: false });
    const { result, status } = response;
    const succeeded = (status?.code ?? Code.OK) === Code.OK;
    if (!succeeded) return { kind: 'filed', response, responseBytes, cached: false };
    if (result === undefined) throw invalidArgument('the response has neither a result nor a status');

    const { digestFunction } = actionDigest;
    const [missing] = await missingFromResult(result, { store: blobStore, digestFunction, ...options });
    if (missing !== undefined) throw failedPrecondition(`its output ${missing} is not in the CAS`);
    if (!mayCache(record, commit, result)) return { kind: 'filed', response, responseBytes, cached: false };
    try {
      await this.#actionCache.put({ instanceName: record.instanceName, actionDigest }, result, options);
    } catch (error) {
      // A cache that is closed to us will be so the next time; the result is as good without it.
      if (!isIngotError(error, Code.PERMISSION_DENIED)) throw error;
      const note = [message, notCached(error.message)].filter((part) => part !== '').join('; ');
      return { kind: 'filed', ...fitted({ ...response, message: note }), cached: false };
    }
    this.#failPoints.pass('commit.after_cache');
    return { kind: 'filed', response, responseBytes, cached: true };
  }

  async #responseOf(
    { outcome }: Commit,
    { digestFunction }: Digest,
    blobStore: BlobStore,
    options: IoOptions,
  ): Promise<ExecuteResponse> {
    if (outcome?.$case === 'response') return outcome.value;
    if (outcome?.$case !== 'responseDigest') throw invalidArgument('the commit carries no response');
    const digest = Digest.fromMessage(outcome.value, digestFunction);
    const source = await blobStore.read(digest, undefined, options);
    if (source === undefined) throw failedPrecondition(`its response ${digest} is not in the CAS`);
    const bytes = await collectBytes(source, {
      bytesMax: RESPONSE_BYTES_MAX * 2,
      what: `response ${digest}`,
    });
    return decodeMessage(ExecuteResponse, bytes, `response ${digest}`);
  }
}

function notCached(why: string): string {
  return `not cached: ${why}`;
}

function mayCache(
  { doNotCache }: OperationRecord,
  { uncacheableReason }: Commit,
  result: ActionResult,
): boolean {
  return !doNotCache && uncacheableReason === '' && result.exitCode === 0;
}

/** A response too large for clients loses what is inlined; one that still is becomes an error that says so. */
function fitted(response: ExecuteResponse): { response: ExecuteResponse; responseBytes: number } {
  for (const candidate of [response, withoutInlined(response)]) {
    const responseBytes = ExecuteResponse.encode(candidate).finish().byteLength;
    if (responseBytes <= RESPONSE_BYTES_MAX) return { response: candidate, responseBytes };
  }
  const message = `the action has so many outputs that its result has more than ${RESPONSE_BYTES_MAX} bytes`;
  const tooLarge = ExecuteResponse.create({ status: { code: Code.RESOURCE_EXHAUSTED, message } });
  return { response: tooLarge, responseBytes: ExecuteResponse.encode(tooLarge).finish().byteLength };
}
