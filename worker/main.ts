import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { ActionCache } from '../cache/action-cache.ts';
import type { BlobStoreOf } from '../cache/blob-store-of.ts';
import { SmallBlobCachingBlobStore } from '../cache/blobs/small-blob-caching-blob-store.ts';
import { SmallBlobMemory } from '../cache/blobs/small-blob-memory.ts';
import type { LogStreams } from '../cache/log-streams.ts';
import type { MessageBus } from '../core/bus/message-bus.ts';
import { FolderLock } from '../core/folder-lock.ts';
import type { Logger } from '../core/log/logger.ts';
import type { RoleHost } from '../core/role.ts';
import { listToolchains } from '../core/toolchain/toolchain-folder.ts';
import type { Resources } from '../proto/gen/ingot/v1/bus.ts';
import type { ActionLimits } from './action-limits.ts';
import type { ActionExecutor } from './agent/action-executor.ts';
import type { ActionStores } from './agent/action-run.ts';
import { busSubjects } from './agent/bus-subjects.ts';
import { CommitSender } from './agent/commit-sender.ts';
import { DiskWatch } from './agent/disk-watch.ts';
import { LeaseTable } from './agent/lease-table.ts';
import { LiveLogs } from './agent/live-logs.ts';
import { ResultBuilder } from './agent/result-builder.ts';
import { SandboxedActionExecutor } from './agent/sandboxed-action-executor.ts';
import { WorkerAgent } from './agent/worker-agent.ts';
import { WorkerHealth } from './agent/worker-health.ts';
import { LocalBlobCache } from './blobs/local-blob-cache.ts';
import type { WorkerConfig } from './config.ts';
import { InputMaterialiser } from './input/input-materialiser.ts';
import { type GpuInventory, listGpus } from './inventory/list-gpus.ts';
import { workerProperties } from './inventory/worker-properties.ts';
import { BlobUploader } from './output/blob-uploader.ts';
import { OutputCollector } from './output/output-collector.ts';
import { prepareHostImage } from './sandbox/host-image.ts';
import { identifyHostImage } from './sandbox/image-identity.ts';
import { ImageWatch } from './sandbox/image-watch.ts';
import { type OpenSandbox, openSandbox } from './sandbox/open-sandbox.ts';
import type { ProbeResult } from './sandbox/self-test.ts';
import { ToolchainWatch } from './sandbox/toolchain-watch.ts';
import { StoreRetries } from './store-retries.ts';
import { durationOf } from './wire-time.ts';
import { defaultWorkerId } from './worker-identity.ts';

/** Memory for the directories of recent actions: those of a large source tree. */
const DIRECTORIES_BYTES_MAX = 32 * 1024 * 1024;

/** What a worker works with, made by others. */
export interface WorkerParts {
  readonly blobStoreOf: BlobStoreOf;
  /** Not used: only the scheduler files results. Taken so that every role can be given the same parts. */
  readonly actionCache?: ActionCache;
  readonly logStreams: LogStreams;
  readonly bus: MessageBus;
  /** Default: the host's programs, which takes half a second to name. */
  readonly image?: ImageWatch;
}

/** A running worker. */
export interface WorkerRole {
  readonly workerId: string;
  readonly sandbox: WorkerConfig['sandbox'];
  /** What the sandbox's self-test saw; empty without a sandbox. */
  readonly probes: readonly ProbeResult[];
  /** How limits are set: `memory=cgroup v1`. */
  readonly limits: readonly string[];
  /** Takes nothing new, finishes or hands back what runs, and stops. Closing the host's lifecycle does it too. */
  drain(): Promise<void>;
}

/** Opens the worker's folder, starts its launcher, tests the sandbox and takes offers. Closed by the host's lifecycle. */
export async function composeWorker(
  config: WorkerConfig,
  { logger: hostLogger, lifecycle }: RoleHost,
  parts: WorkerParts,
): Promise<WorkerRole> {
  const workerFolder = resolve(config.workerFolder ?? join(config.data, 'worker'));
  const workerId = config.workerId ?? defaultWorkerId(hostname(), workerFolder);
  const logger = hostLogger.child({ worker: workerId });
  const host = { logger, lifecycle };
  await mkdir(workerFolder, { recursive: true, mode: 0o711 });
  lifecycle.use('worker folder', await FolderLock.acquire(workerFolder));

  const machine = await openMachine(config, host, { ...parts, workerFolder });
  const executor = makeExecutor(config, { ...parts, ...machine, workerFolder, workerId, logger });
  const agent = makeAgent(config, { ...parts, ...machine, executor, workerId, logger });

  const { image, sandbox, toolchains } = machine;
  image.start((error) => {
    if (error === undefined) logger.info({ image: image.latest }, 'programs of this machine have changed');
    else logger.warn({ error }, 'programs of this machine could not be looked at');
    agent.changed();
  });
  lifecycle.defer('image watch', () => image.stop());
  toolchains.start(() => agent.changed());
  lifecycle.defer('toolchain watch', () => toolchains.stop());
  const drain = (): Promise<void> => agent.drain({ graceMs: config.drainGrace });
  lifecycle.defer('worker', drain);
  await agent.start();
  return { workerId, sandbox: config.sandbox, probes: sandbox.probes, limits: sandbox.ready.limits, drain };
}

/** What the worker finds on its machine and holds of it. */
interface Machine {
  readonly retries: StoreRetries;
  readonly blobCache: LocalBlobCache;
  readonly image: ImageWatch;
  readonly gpus: GpuInventory;
  readonly toolchains: ToolchainWatch;
  readonly health: WorkerHealth;
  readonly disk: DiskWatch;
  readonly sandbox: OpenSandbox;
}

async function openMachine(
  config: WorkerConfig,
  { logger, lifecycle }: RoleHost,
  {
    workerFolder,
    blobStoreOf,
    image = new ImageWatch({ identify: () => identifyHostImage() }),
  }: WorkerParts & { readonly workerFolder: string },
): Promise<Machine> {
  const retries = new StoreRetries({ logger, windowMs: config.storeWait });
  const blobCache = await LocalBlobCache.open({
    folder: join(workerFolder, 'blobs'),
    bytesMax: config.blobCache,
    source: blobStoreOf(''),
    retries,
    logger,
  });
  const [hostImage, gpus, { toolchains: found, problems }] = await Promise.all([
    prepareHostImage(join(workerFolder, 'image', 'etc')),
    listGpus(config.gpuInventory, logger),
    listToolchains(join(config.data, 'toolchains')),
    image.identity(),
  ]);
  for (const { folder, error } of problems) logger.warn({ folder, error }, 'toolchain cannot be used');
  const toolchains = await ToolchainWatch.open(found, { logger });

  const health = new WorkerHealth({ logger });
  const sandbox = await openSandbox({
    level: config.sandbox,
    workerFolder,
    slots: config.slots,
    image: hostImage,
    mountSources: [...new Set(found.flatMap(({ mounts }) => mounts.map(({ source }) => source)))],
    cpuCeiling: config.cpuCeiling,
    compileCacheFolder: join(config.data, 'compile-cache'),
    blobCache,
    onHealth: (reason) => health.report('launcher', reason),
    logger,
  });
  lifecycle.use('launcher', sandbox.sandbox);
  const disk = new DiskWatch({ folder: workerFolder, freeBytesMin: config.diskFree, health });
  await disk.start();
  lifecycle.defer('disk watch', () => disk.stop());
  return { retries, blobCache, image, gpus, toolchains, health, disk, sandbox };
}

interface ExecutorParts extends Omit<WorkerParts, 'image'>, Machine {
  readonly workerFolder: string;
  readonly workerId: string;
  readonly logger: Logger;
}

function makeExecutor(config: WorkerConfig, parts: ExecutorParts): ActionExecutor {
  const { workerId, workerFolder, logger, logStreams, retries, blobCache, image, disk, gpus } = parts;
  const { sandbox } = parts.sandbox;
  const memory = new SmallBlobMemory({ bytesMax: DIRECTORIES_BYTES_MAX });
  const limits = actionLimits(config);
  const collector = new OutputCollector({ sandbox, limits });
  const storesOf = (instanceName: string): ActionStores => {
    const blobStore = new SmallBlobCachingBlobStore({ inner: parts.blobStoreOf(instanceName), memory });
    const uploader = new BlobUploader({ blobStore, retries });
    return {
      blobStore,
      materialiser: new InputMaterialiser({ blobStore, blobCache, sandbox, retries }),
      results: new ResultBuilder({ collector, uploader }),
    };
  };
  return new SandboxedActionExecutor({
    workerId,
    workerFolder,
    platform: { level: config.sandbox, acceptedNames: config.accept },
    toolchains: parts.toolchains,
    limits,
    memoryBytesDefault: config.memory,
    storesOf,
    retries,
    sandbox,
    liveLogs: new LiveLogs({ logStreams, logger, bytesMax: limits.streamBytesMax }),
    image,
    disk,
    gpuMounts: (ids) => gpus.mountsOf(ids),
    logger,
    now: Date.now,
  });
}

interface AgentParts extends Omit<WorkerParts, 'image'>, Machine {
  readonly executor: ActionExecutor;
  readonly workerId: string;
  readonly logger: Logger;
}

function makeAgent(config: WorkerConfig, parts: AgentParts): WorkerAgent {
  const { workerId, bus, blobStoreOf, logger, executor, health, image, toolchains, gpus, retries } = parts;
  const incarnation = randomUUID();
  const subjects = busSubjects(workerId);
  const uploaderOf = (instanceName: string) =>
    new BlobUploader({ blobStore: blobStoreOf(instanceName), retries });
  const capacity: Resources = {
    slots: config.slots,
    cpuMillis: Math.floor(config.cores * 1000),
    memoryBytes: config.memory,
    gpus: [...gpus.devices],
  };
  const heartbeatInterval = durationOf(config.heartbeatInterval);
  return new WorkerAgent({
    description: { workerId, incarnation, hostName: hostname(), capacity, heartbeatInterval },
    properties: () =>
      workerProperties({
        level: config.sandbox,
        image: image.latest,
        toolchains: toolchains.toolchains,
        pool: config.pool,
        acceptedNames: config.accept,
        properties: config.property,
      }),
    heartbeatIntervalMs: config.heartbeatInterval,
    bus,
    subjects,
    leases: new LeaseTable(capacity),
    executor,
    commits: new CommitSender({ bus, uploaderOf, logger, subject: subjects.commit, workerId, incarnation }),
    health,
    logger,
  });
}

function actionLimits(config: WorkerConfig): ActionLimits {
  return {
    timeoutMsMax: config.actionTimeoutMax,
    killGraceMs: config.killGrace,
    pidsMax: config.actionPids,
    streamBytesMax: config.actionLog,
    tmpBytesMax: config.actionTmp,
    outputBytesMax: config.actionOutput,
    outputEntriesMax: config.actionOutputEntries,
    outputDepthMax: config.actionOutputDepth,
  };
}
