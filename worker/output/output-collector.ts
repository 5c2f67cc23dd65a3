import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { mapConcurrent } from '../../core/concurrency.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { TimeSlice } from '../../core/time-slice.ts';
import type {
  Command,
  DigestFunction_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { OutputEntry_Kind } from '../../proto/gen/ingot/v1/launcher.ts';
import type { ActionLimits } from '../action-limits.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { DeclaredOutput } from './declared-outputs.ts';
import { type ActionOutputs, OutputAssembly } from './output-assembly.ts';
import type { OutputBlob } from './output-blob.ts';
import { outputFileBlob } from './output-file.ts';

/** Files hashed at once; each takes a thread of Node's pool and a megabyte. */
const HASHES_AT_ONCE = 4;

export interface OutputCollectorDependencies {
  readonly sandbox: Sandbox;
  readonly limits: ActionLimits;
}

/** Where a lease's outputs are and what is wanted of them. */
export interface OutputRequest {
  readonly leaseKey: string;
  /** The input root on this machine. */
  readonly rootFolder: string;
  readonly declared: readonly DeclaredOutput[];
  readonly command: Command;
  readonly digestFunction: DigestFunction_Value;
}

/** Outputs in the words of an ActionResult, and the blobs to be stored before it may be told to anyone. */
export interface CollectedOutputs {
  readonly outputs: ActionOutputs;
  readonly blobs: readonly OutputBlob[];
}

/** Looks at what a command left, once nothing of it runs any more. */
export class OutputCollector {
  readonly #sandbox: Sandbox;
  readonly #limits: ActionLimits;

  constructor({ sandbox, limits }: OutputCollectorDependencies) {
    this.#sandbox = sandbox;
    this.#limits = limits;
  }

  /** FAILED_PRECONDITION or RESOURCE_EXHAUSTED for outputs that cannot be kept; absent ones are left out. */
  async collect(request: OutputRequest, options: IoOptions = {}): Promise<CollectedOutputs> {
    const { leaseKey, rootFolder, declared, command, digestFunction } = request;
    const entries = await this.#sandbox.collect(
      {
        leaseKey,
        paths: declared.map(({ rootPath }) => rootPath),
        entriesMax: this.#limits.outputEntriesMax,
        bytesMax: this.#limits.outputBytesMax,
        depthMax: this.#limits.outputDepthMax,
      },
      options,
    );
    const sizes = new Map<string, number>();
    for (const { path, kind, sizeBytes } of entries) {
      if (kind === OutputEntry_Kind.FILE) sizes.set(path, sizeBytes);
    }
    const slice = new TimeSlice();
    const files = await mapConcurrent(
      sizes,
      HASHES_AT_ONCE,
      async ([path, sizeBytes]): Promise<[string, OutputBlob]> => {
        await slice.pause();
        return [path, await outputFileBlob(join(rootFolder, path), sizeBytes, digestFunction)];
      },
      options,
    );
    return new OutputAssembly({
      declared,
      entries,
      files: new Map(files),
      format: command.outputDirectoryFormat,
      digestFunction,
      nodeProperties: command.outputNodeProperties,
    });
  }
}

/** A command's stdout or stderr; undefined when it wrote nothing, or was never started. */
export async function streamBlob(
  path: string,
  digestFunction: DigestFunction_Value,
): Promise<OutputBlob | undefined> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined || stats.size === 0) return undefined;
  return await outputFileBlob(path, stats.size, digestFunction);
}
