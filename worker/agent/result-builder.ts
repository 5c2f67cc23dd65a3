import { type IngotError, isIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { collectBytes } from '../../core/streams.ts';
import {
  ActionResult,
  type DigestFunction_Value,
  ExecuteResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { type RunEnded, RunEnded_Termination as Termination } from '../../proto/gen/ingot/v1/launcher.ts';
import type { LeaseFolder } from '../launcher/lease-folder.ts';
import type { BlobUploader } from '../output/blob-uploader.ts';
import type { OutputBlob } from '../output/output-blob.ts';
import {
  type CollectedOutputs,
  type OutputCollector,
  type OutputRequest,
  streamBlob,
} from '../output/output-collector.ts';
import type { ExecutionMetadata } from './execution-metadata.ts';
import type { LeaseOutcome } from './lease-outcome.ts';
import type { RunVerdict } from './run-verdict.ts';

/** Largest stdout or stderr put into the result itself, besides the CAS: a screenful of compiler warnings. */
const INLINE_BYTES_MAX = 16 * 1024;

export interface ResultBuilderDependencies {
  readonly collector: OutputCollector;
  readonly uploader: BlobUploader;
}

/** A run that is over, and what is known of it. */
export interface FinishedRun {
  readonly ended: RunEnded;
  readonly verdict: RunVerdict;
  readonly metadata: ExecutionMetadata;
  readonly folder: LeaseFolder;
  readonly outputs: Omit<OutputRequest, 'rootFolder'>;
}

interface Stream {
  readonly blob: OutputBlob | undefined;
  /** Its bytes, when there are few. */
  readonly raw: Uint8Array;
}

/** Makes the answer to an action out of what its run left: outputs collected and stored, logs kept. */
export class ResultBuilder {
  readonly #collector: OutputCollector;
  readonly #uploader: BlobUploader;

  constructor({ collector, uploader }: ResultBuilderDependencies) {
    this.#collector = collector;
    this.#uploader = uploader;
  }

  /** Resolves when everything the result names is durable. Throws only what is the worker's fault or the store's. */
  async build(run: FinishedRun, options: IoOptions = {}): Promise<LeaseOutcome> {
    const { ended, metadata, folder } = run;
    const { digestFunction } = run.outputs;
    const { collected, verdict } = await this.#collect(run, options);
    const stdout = await readStream(folder.stdout, digestFunction);
    const stderr = await readStream(folder.stderr, digestFunction);
    const streams = [stdout.blob, stderr.blob].filter((blob) => blob !== undefined);
    await this.#uploader.upload([...(collected?.blobs ?? []), ...streams], options);
    metadata.mark('outputUploadCompletedTimestamp');
    metadata.mark('workerCompletedTimestamp');
    const result = ActionResult.create({
      ...collected?.outputs,
      exitCode: ended.exitCode,
      stdoutRaw: Buffer.from(stdout.raw),
      stderrRaw: Buffer.from(stderr.raw),
      executionMetadata: metadata.message,
    });
    result.stdoutDigest = stdout.blob?.digest.toMessage();
    result.stderrDigest = stderr.blob?.digest.toMessage();
    const { status, message, uncacheableReason } = verdict;
    return {
      kind: 'response',
      response: ExecuteResponse.create({ result, message, ...(status && { status }) }),
      uncacheableReason,
    };
  }

  /** Outputs that cannot be kept are the action's failure, unless it has failed already: the first error counts. */
  async #collect(
    { outputs, verdict, ended, folder }: FinishedRun,
    options: IoOptions,
  ): Promise<{ readonly collected: CollectedOutputs | undefined; readonly verdict: RunVerdict }> {
    if (ended.termination === Termination.CANCELLED) return { collected: undefined, verdict };
    try {
      const collected = await this.#collector.collect({ ...outputs, rootFolder: folder.root }, options);
      return { collected, verdict };
    } catch (error) {
      if (!isOutputFault(error)) throw error;
      const note = { ...verdict, message: `${verdict.message}; outputs were not kept: ${error.message}` };
      if (verdict.status !== undefined || ended.exitCode !== 0)
        return { collected: undefined, verdict: note };
      const { code, message } = error;
      const status = { code, message, details: [] };
      return { collected: undefined, verdict: { status, message, uncacheableReason: message } };
    }
  }
}

const OUTPUT_FAULTS = [Code.FAILED_PRECONDITION, Code.RESOURCE_EXHAUSTED, Code.INVALID_ARGUMENT] as const;

function isOutputFault(error: unknown): error is IngotError {
  return OUTPUT_FAULTS.some((code) => isIngotError(error, code));
}

async function readStream(path: string, digestFunction: DigestFunction_Value): Promise<Stream> {
  const blob = await streamBlob(path, digestFunction);
  if (blob === undefined || blob.digest.sizeBytes > INLINE_BYTES_MAX) return { blob, raw: Buffer.alloc(0) };
  const raw = await collectBytes(blob.open(), { bytesMax: INLINE_BYTES_MAX, what: 'inline output' });
  return { blob, raw };
}
