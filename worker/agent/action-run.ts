import type { BlobStore } from '../../cache/blob-store.ts';
import { abortReason, linkedAbort, throwIfAborted } from '../../core/abort.ts';
import { Digest } from '../../core/digest.ts';
import { unavailable } from '../../core/error.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { RunCommand, RunEnded, RunLimits, SandboxMount } from '../../proto/gen/ingot/v1/launcher.ts';
import type { ActionLimits } from '../action-limits.ts';
import type { InputMaterialiser } from '../input/input-materialiser.ts';
import { leaseFolderOf } from '../launcher/lease-folder.ts';
import { declaredOutputs, parentOf } from '../output/declared-outputs.ts';
import type { ImageWatch } from '../sandbox/image-watch.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { ToolchainWatch } from '../sandbox/toolchain-watch.ts';
import type { StoreRetries } from '../store-retries.ts';
import { millisecondsOf } from '../wire-time.ts';
import type { ActionWork } from './action-executor.ts';
import { type ActionPlatform, actionPlatform, type WorkerPlatform } from './action-platform.ts';
import { type ActionRequest, fetchActionRequest } from './action-request.ts';
import { commandEnvironment } from './command-environment.ts';
import type { DiskWatch } from './disk-watch.ts';
import type { ExecutionMetadata } from './execution-metadata.ts';
import { LeaseEnded, type LeaseOutcome } from './lease-outcome.ts';
import type { LiveLogs } from './live-logs.ts';
import type { ResultBuilder } from './result-builder.ts';
import { judgeRun } from './run-verdict.ts';

/** What a run works with of the action's own instance. */
export interface ActionStores {
  readonly blobStore: BlobStore;
  readonly materialiser: InputMaterialiser;
  readonly results: ResultBuilder;
}

/** What runs of actions share. */
export interface ActionRunDependencies {
  readonly workerId: string;
  readonly workerFolder: string;
  readonly platform: Omit<WorkerPlatform, 'toolchains'>;
  readonly toolchains: ToolchainWatch;
  readonly limits: ActionLimits;
  /** Of an action that reserves none. */
  readonly memoryBytesDefault: number;
  readonly storesOf: (instanceName: string) => ActionStores;
  readonly retries: StoreRetries;
  readonly sandbox: Sandbox;
  readonly liveLogs: LiveLogs;
  readonly image: ImageWatch;
  readonly disk: DiskWatch;
  /** Device nodes of leased GPUs. */
  readonly gpuMounts: (ids: readonly string[]) => readonly SandboxMount[];
  readonly logger: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Time to store the logs of a cancelled action. */
const CANCELLED_UPLOAD_MS = 10_000;

/**
 * One run of an action. States: fetching Action and Command; materialising the input root; running; collecting and
 * storing outputs. Each is entered once, in this order; an error ends the run.
 */
export class ActionRun {
  readonly #d: ActionRunDependencies;
  readonly #stores: ActionStores;
  readonly #work: ActionWork;
  readonly #metadata: ExecutionMetadata;

  constructor(dependencies: ActionRunDependencies, work: ActionWork, metadata: ExecutionMetadata) {
    this.#d = dependencies;
    this.#stores = dependencies.storesOf(work.offer.instanceName);
    this.#work = work;
    this.#metadata = metadata;
  }

  async run(signal: AbortSignal): Promise<LeaseOutcome> {
    const { image, disk, toolchains } = this.#d;
    const startMs = performance.now();
    this.#metadata.mark('workerStartTimestamp');
    const imageBefore = await image.identity();
    const request = await this.#enterFetching(imageBefore, signal);
    using _inputs = await this.#enterMaterialising(request, signal);
    const platform = this.#platformOf(request);
    const command = this.#commandOf(request, platform);
    const ended = await this.#enterRunning(command, signal);
    if ((await image.identity()) !== imageBefore) {
      throw unavailable('programs of this machine were changed while the action ran');
    }
    await toolchains.checkUnchanged(platform.toolchains);
    // Programs do not all notice that a write has failed: not even an exit code of 0 is to be believed.
    if (await disk.wasFullSince(startMs)) {
      throw unavailable('the disk of this worker was full while the action ran');
    }
    return await this.#enterCollecting(request, command, ended, signal);
  }

  async #enterFetching(image: string, signal: AbortSignal): Promise<ActionRequest> {
    this.#tell('fetching');
    const { offer } = this.#work;
    const { retries, platform } = this.#d;
    const { blobStore } = this.#stores;
    const digest = Digest.fromMessage(offer.actionDigest, offer.digestFunction);
    const fetch = () => fetchActionRequest(blobStore, digest, { signal });
    const request = await retries.run('fetch action', fetch, { signal });
    const pinned = request.properties.get('image')?.find((value) => value !== image);
    if (pinned !== undefined && !platform.acceptedNames.includes('image')) {
      throw unavailable(`the action asks for image ${pinned} and this machine is ${image} by now`);
    }
    return request;
  }

  async #enterMaterialising(
    { command, inputRootDigest }: ActionRequest,
    signal: AbortSignal,
  ): Promise<Disposable> {
    this.#metadata.mark('inputFetchStartTimestamp');
    this.#tell('materialising');
    const folders = new Set([command.workingDirectory, ...declaredOutputs(command).map(parentOf)]);
    const { materialiser } = this.#stores;
    const inputs = await materialiser.materialise(this.#work.place, { inputRootDigest, folders }, { signal });
    this.#metadata.mark('inputFetchCompletedTimestamp');
    return inputs;
  }

  async #enterRunning(command: RunCommand, signal: AbortSignal): Promise<RunEnded> {
    throwIfAborted(signal);
    this.#metadata.mark('executionStartTimestamp');
    this.#tell('running');
    const { offer, place } = this.#work;
    const { stdout, stderr } = leaseFolderOf(this.#d.workerFolder, place.leaseKey);
    const logs = [
      { path: stdout, streamName: offer.stdoutStreamName },
      { path: stderr, streamName: offer.stderrStreamName },
    ];
    const ended = await this.#d.liveLogs.during(logs, () => this.#d.sandbox.run(command, { signal }));
    this.#metadata.addRun(ended);
    return ended;
  }

  async #enterCollecting(
    request: ActionRequest,
    { timeoutMs, limits, leaseKey }: RunCommand,
    ended: RunEnded,
    signal: AbortSignal,
  ): Promise<LeaseOutcome> {
    this.#metadata.mark('outputUploadStartTimestamp');
    this.#tell('collecting');
    const { workerId, workerFolder } = this.#d;
    const { results } = this.#stores;
    const run = {
      ended,
      verdict: judgeRun(ended, { workerId, timeoutMs, limits: limits ?? this.#limits() }),
      metadata: this.#metadata,
      folder: leaseFolderOf(workerFolder, leaseKey),
      outputs: {
        leaseKey,
        declared: declaredOutputs(request.command),
        command: request.command,
        digestFunction: request.inputRootDigest.digestFunction,
      },
    };
    if (!signal.aborted) return await results.build(run, { signal });
    // Of a cancelled action the logs are kept; a worker that leaves has no time for that.
    const reason = abortReason(signal);
    if (reason instanceof LeaseEnded && reason.draining) throw reason;
    using soon = linkedAbort(undefined, { timeoutMs: CANCELLED_UPLOAD_MS });
    return await results.build(run, { signal: soon.signal });
  }

  #platformOf({ properties }: ActionRequest): ActionPlatform {
    const { platform, toolchains } = this.#d;
    return actionPlatform(properties, { ...platform, toolchains: toolchains.toolchains });
  }

  #commandOf(
    { action, command }: ActionRequest,
    { toolchains, mounts, inputRootPath }: ActionPlatform,
  ): RunCommand {
    const { platform, limits, gpuMounts } = this.#d;
    const { place, offer } = this.#work;
    const wantedMs = action.timeout === undefined ? 0 : millisecondsOf(action.timeout);
    return {
      leaseKey: place.leaseKey,
      slot: place.slot,
      arguments: command.arguments,
      environment: commandEnvironment(command, toolchains, platform.level),
      workingDirectory: command.workingDirectory,
      inputRootPath,
      mounts: [...mounts, ...gpuMounts(offer.reserved?.gpus.map(({ id }) => id) ?? [])],
      timeoutMs: Math.ceil(wantedMs > 0 ? Math.min(wantedMs, limits.timeoutMsMax) : limits.timeoutMsMax),
      killGraceMs: limits.killGraceMs,
      limits: this.#limits(),
    };
  }

  #limits(): RunLimits {
    const { limits, memoryBytesDefault } = this.#d;
    const { reserved } = this.#work.offer;
    return {
      memoryBytes: reserved?.memoryBytes || memoryBytesDefault,
      cpuMillis: reserved?.cpuMillis ?? 0,
      pids: limits.pidsMax,
      fileBytes: limits.outputBytesMax,
      streamBytes: limits.streamBytesMax,
      tmpBytes: limits.tmpBytesMax,
    };
  }

  #tell(phase: 'fetching' | 'materialising' | 'running' | 'collecting'): void {
    const { operationName, epoch } = this.#work.offer;
    this.#d.logger.debug({ operation: operationName, epoch, phase }, 'action enters phase');
    this.#work.onProgress(this.#metadata.message);
  }
}
