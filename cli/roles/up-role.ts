import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ChunkingBlobStore } from '../../cache/chunking/chunking-blob-store.ts';
import { announcedFastCdcParams } from '../../cache/chunking/fast-cdc-params.ts';
import { cacheConfigSchema } from '../../cache/config.ts';
import { composeCache } from '../../cache/main.ts';
import { hostPort } from '../../core/config/config-values.ts';
import { FolderLock } from '../../core/folder-lock.ts';
import { LOG_LEVELS } from '../../core/log/logger.ts';
import { RpcServer } from '../../core/rpc/rpc-server.ts';
import { schedulerConfigSchema } from '../../scheduler/config.ts';
import { composeScheduler } from '../../scheduler/main.ts';
import { workerConfigSchema } from '../../worker/config.ts';
import { composeWorker } from '../../worker/main.ts';
import type { CommandContext } from '../command-context.ts';
import { adoptHostToolchain } from './adopt-host-toolchain.ts';
import { describeFarm } from './describe-farm.ts';
import { formatAddress, listenHttp, listenRpc } from './listen.ts';
import { makeDataFolder } from './make-data-folder.ts';
import { connectBus, openPrivateBus } from './open-bus.ts';
import { openServerSecurity } from './open-server-security.ts';
import { busConfigShape, processConfigShape, type RoleFlags, readRoleConfig } from './process-config.ts';
import { runRole } from './role-process.ts';
import { securityConfigShape } from './security-config.ts';
import { waitForWorkers } from './wait-for-workers.ts';

/** Beyond the worker's own grace, for results to reach the clients that wait for them. */
const LAST_ANSWERS_MS = 5_000;

/** Settings of `ingot up`: those of all roles, and where it listens. */
export const upSchema = z.object({
  ...cacheConfigSchema.shape,
  ...schedulerConfigSchema.shape,
  ...workerConfigSchema.shape,
  ...processConfigShape,
  ...busConfigShape,
  ...securityConfigShape,
  /** What is logged, on stderr, beside what is printed for the person who starts it. Default `warn`. */
  logLevel: z.enum(LOG_LEVELS).default('warn'),
  /** Where gRPC listens. */
  grpc: hostPort().prefault('127.0.0.1:8980'),
  /** Where /cas and /ac listen. */
  http: hostPort().prefault('127.0.0.1:8981'),
  /** A NATS server. Default: a private one where the program is installed, else none. */
  nats: z.string().optional(),
});

/** `ingot up`: a whole farm in one process. */
export async function runUp(context: CommandContext, flags: RoleFlags): Promise<number> {
  const config = readRoleConfig(upSchema, flags, context.io);
  const { io, printer, signal, version } = context;
  return runRole(context, config, async (host) => {
    const { data } = config;
    await makeDataFolder(data);
    host.lifecycle.use('data folder', await FolderLock.acquire(data));
    // What a process that was killed left of its private nats-server.
    await rm(join(data, 'run'), { recursive: true, force: true });
    const security = await openServerSecurity(config, [config.grpc, config.http], host);
    await adoptHostToolchain(context, data);

    const opened =
      config.nats === undefined
        ? await openPrivateBus(host, { data, path: io.environment.PATH, signal })
        : await connectBus({ ...config, url: config.nats, name: 'ingot up' }, host, { signal });
    const { bus, description: busDescription } = opened;
    const cache = await composeCache(config, host);
    const { blobStoreOf, actionCache, logStreams } = cache;
    const parts = { blobStoreOf, actionCache, logStreams, bus };
    const scheduler = await composeScheduler(config, host, {
      ...parts,
      busDescription,
      version,
      cacheStatus: () => cache.status(),
    });

    const rpc = host.lifecycle.use('gRPC server', new RpcServer({ logger: host.logger, ...security }));
    host.metrics?.add(rpc);
    cache.addServices(rpc, { execution: scheduler.executionCapabilities });
    scheduler.addServices(rpc);
    const grpc = await listenRpc(rpc, config.grpc);
    const http = await listenHttp(cache, config.http, security);
    // As a worker on another machine does: what actions make is kept in chunks, and the next epoch costs its difference.
    const params = async () => announcedFastCdcParams;
    const outputsOf = (instanceName: string) =>
      new ChunkingBlobStore({ inner: blobStoreOf(instanceName), params });
    const worker = await composeWorker(config, host, { ...parts, blobStoreOf: outputsOf });

    const status = await waitForWorkers(scheduler, [worker.workerId], signal);
    const endpoints = { grpc: formatAddress(grpc), http: formatAddress(http) };
    const farm = { data, endpoints, worker, status, busExplanation: opened.explanation, version };
    for (const line of describeFarm(farm)) printer.line(line);
    return {
      endpoints,
      drain: async () => {
        const served = rpc.close({ graceMs: config.drainGrace + LAST_ANSWERS_MS });
        await worker.drain();
        // What still waits has nobody left to run it.
        scheduler.drain();
        await served;
      },
    };
  });
}
