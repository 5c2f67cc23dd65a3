import { join } from 'node:path';
import { cacheConfigSchema } from '../../cache/config.ts';
import { composeCache } from '../../cache/main.ts';
import { isIngotError } from '../../core/error.ts';
import { Lifecycle } from '../../core/lifecycle.ts';
import type { RoleHost } from '../../core/role.ts';
import { RpcServer } from '../../core/rpc/rpc-server.ts';
import type { FarmStatus } from '../../proto/gen/ingot/v1/farm.ts';
import { schedulerConfigSchema } from '../../scheduler/config.ts';
import { composeScheduler } from '../../scheduler/main.ts';
import { workerConfigSchema } from '../../worker/config.ts';
import { composeWorker, type WorkerParts, type WorkerRole } from '../../worker/main.ts';
import { SANDBOX_LEVELS, type SandboxLevel } from '../../worker/sandbox/sandbox-level.ts';
import type { CommandContext } from '../command-context.ts';
import { formatAddress, listenRpc } from '../roles/listen.ts';
import { openPrivateBus } from '../roles/open-bus.ts';
import { waitForWorkers } from '../roles/wait-for-workers.ts';

const WORKER_IDS = ['worker-1', 'worker-2', 'worker-3'] as const;
/** Who leaves the demo waits for no result: Ctrl-C ends what runs. */
const DRAIN_GRACE = '1ms';
/** Closing a worker whose sandbox did not come up. */
const CLOSE_MS = 5_000;

/** The demo's own farm. */
export interface DemoFarm {
  readonly endpoint: string;
  readonly status: FarmStatus;
  readonly busExplanation: string;
  readonly sandbox: SandboxLevel;
  /** Why it is not a stricter level, one reason for each level that was tried; empty for `strict`. */
  readonly sandboxReasons: readonly string[];
}

interface DemoFarmOptions {
  /** Of the farm. */
  readonly data: string;
  /** With `toolchains` in it. */
  readonly toolchainData: string;
}

/** Starts a farm on ports of the system's choice: one cache, one scheduler, three workers of one slot each. */
export async function startDemoFarm(
  context: CommandContext,
  host: RoleHost,
  { data, toolchainData }: DemoFarmOptions,
): Promise<DemoFarm> {
  const { io, signal, version } = context;
  const opened = await openPrivateBus(host, { data, path: io.environment.PATH, signal });
  const { bus, description: busDescription } = opened;
  const { blobStoreOf, actionCache, logStreams, ...cache } = await composeCache(
    cacheConfigSchema.parse({ data }),
    host,
  );
  const parts = { blobStoreOf, actionCache, logStreams, bus };
  const scheduler = await composeScheduler(schedulerConfigSchema.parse({ data }), host, {
    ...parts,
    busDescription,
    version,
  });
  const rpc = host.lifecycle.use('gRPC server', new RpcServer({ logger: host.logger }));
  cache.addServices(rpc, { execution: scheduler.executionCapabilities });
  scheduler.addServices(rpc);
  const endpoint = formatAddress(await listenRpc(rpc, { host: '127.0.0.1', port: 0 }));

  const reasons: string[] = [];
  let sandbox: SandboxLevel | undefined;
  for (const workerId of WORKER_IDS) {
    const worker = { workerId, workerFolder: join(data, workerId), data: toolchainData };
    const levels: readonly SandboxLevel[] = sandbox === undefined ? SANDBOX_LEVELS : [sandbox];
    ({ sandbox } = await startWorker(worker, { host, parts, levels, reasons }));
  }
  const status = await waitForWorkers(scheduler, WORKER_IDS, signal);
  return {
    endpoint,
    status,
    busExplanation: opened.explanation,
    sandbox: sandbox ?? 'none',
    sandboxReasons: reasons,
  };
}

interface StartWorkerOptions {
  readonly host: RoleHost;
  readonly parts: WorkerParts;
  /** Tried in order. */
  readonly levels: readonly SandboxLevel[];
  /** Filled with why a level could not be had. */
  readonly reasons: string[];
}

/** Starts a worker at the first level that this machine can give; each refusal is noted, none is passed over in silence. */
async function startWorker(
  settings: { readonly workerId: string; readonly workerFolder: string; readonly data: string },
  { host, parts, levels, reasons }: StartWorkerOptions,
): Promise<WorkerRole> {
  for (const [index, sandbox] of levels.entries()) {
    const lifecycle = new Lifecycle({ logger: host.logger });
    const config = workerConfigSchema.parse({
      ...settings,
      sandbox,
      slots: 1,
      cores: 1,
      diskFree: '64MiB',
      drainGrace: DRAIN_GRACE,
    });
    try {
      const worker = await composeWorker(config, { logger: host.logger, lifecycle }, parts);
      host.lifecycle.defer(settings.workerId, () => lifecycle.shutdown({ deadlineMs: CLOSE_MS }));
      return worker;
    } catch (error) {
      await lifecycle.shutdown({ deadlineMs: CLOSE_MS });
      if (!isIngotError(error) || index === levels.length - 1) throw error;
      reasons.push(`${sandbox}: ${error.message}`);
    }
  }
  throw new Error('no level to try');
}
