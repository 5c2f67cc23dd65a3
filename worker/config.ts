import { availableParallelism, totalmem } from 'node:os';
import { z } from 'zod';
import { byteSize, count, duration, keyValues } from '../core/config/config-values.ts';
import { SANDBOX_LEVELS } from './sandbox/sandbox-level.ts';

/** One word of a subject. */
const WORKER_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
/** As many user ids as a machine has for slots: `worker/launcher/slot-users.ts`. */
const SLOTS_MAX = 184;
/** What is left to the system, the worker itself and the page cache. */
const MEMORY_SHARE = 0.9;

/** The settings of a worker; each says its unit and default. */
export const workerConfigSchema = z.object({
  /** Folder of the farm's data on this machine; the worker keeps to `worker` in it, and finds `toolchains` there. */
  data: z.string().min(1, 'expected a folder'),
  /** The worker's own folder, where it is not `worker` in the data folder: several workers of a machine share none. */
  workerFolder: z.string().min(1).optional(),
  /** Unique in the farm, and one word. Default: made from the host's name and the folder, so that it stays the same. */
  workerId: z.string().regex(WORKER_ID, 'expected letters, digits, - and _').optional(),
  /** Actions at once. Default: one a core. */
  slots: count({ min: 1, max: SLOTS_MAX }).default(() => Math.min(availableParallelism(), SLOTS_MAX)),
  /** Cores that actions may reserve. Default: all. */
  cores: z
    .number()
    .positive()
    .default(() => availableParallelism()),
  /** Memory that actions may reserve, and the limit of those that reserve none. Default: 90 % of the machine's. */
  memory: byteSize({ min: 64 * 2 ** 20 }).prefault(() => Math.floor(totalmem() * MEMORY_SHARE)),
  /** How far actions are kept from the machine; strict needs root and bubblewrap. Never lowered in silence. */
  sandbox: z.enum(SANDBOX_LEVELS).default('strict'),
  /** Announced as the property `pool`. Default: none. */
  pool: z.string().min(1).optional(),
  /** Further properties to announce, `name=value`. */
  property: keyValues().prefault([]),
  /** Property names for which any value is accepted: the host stands in for it (`container-image`, say). */
  accept: z.array(z.string().min(1)).default([]),
  /** YAML file of imaginary GPUs, for trying out a farm; see `worker/inventory/gpu-inventory-file.ts`. */
  gpuInventory: z.string().min(1).optional(),
  /** Default 2s. The scheduler gives a worker up after three missed heartbeats. */
  heartbeatInterval: duration({ min: 50, max: 60_000 }).prefault('2s'),
  /** How long running actions may take after SIGTERM before they are handed back. Default 30s. */
  drainGrace: duration().prefault('30s'),
  /** How long a cache that is away is waited for. Default 1m. */
  storeWait: duration().prefault('1m'),
  /** What cached input blobs may take on disk. Default 20 GiB. */
  blobCache: byteSize().prefault('20GiB'),
  /** Free disk space below which nothing new is taken. Default 1 GiB; 0 for no watch. */
  diskFree: byteSize().prefault('1GiB'),
  /** Of actions that set no timeout, and the most of those that do. Default 24h, as the scheduler's. */
  actionTimeoutMax: duration({ min: 1 }).prefault('24h'),
  /** Between SIGTERM and SIGKILL at a timeout or cancel. Default 5s. */
  killGrace: duration().prefault('5s'),
  /** Processes and threads of one action. Default 4096, which stops a fork bomb and no build. */
  actionPids: count({ min: 16 }).default(4096),
  /** Reserved cores are a ceiling rather than a weight. Default false: idle cores may be used. */
  cpuCeiling: z.boolean().default(false),
  /** stdout and stderr of one action, each. Default 64 MiB, more than anyone reads. */
  actionLog: byteSize({ min: 1024 }).prefault('64MiB'),
  /** /tmp and /dev/shm of one action, each; they are memory. Default 4 GiB. */
  actionTmp: byteSize({ min: 2 ** 20 }).prefault('4GiB'),
  /** All outputs of one action, and any one file it writes. Default 32 GiB, above a checkpoint of a large model. */
  actionOutput: byteSize({ min: 1 }).prefault('32GiB'),
  /** Files, directories and symlinks in all outputs of one action. Default 250,000. */
  actionOutputEntries: count({ min: 1 }).default(250_000),
  /** Levels of directories in one output directory. Default 200, within what the store takes. */
  actionOutputDepth: count({ min: 1, max: 1000 }).default(200),
});

/** A worker's configuration, parsed. */
export type WorkerConfig = z.output<typeof workerConfigSchema>;
