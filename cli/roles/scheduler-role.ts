import { z } from 'zod';
import { hostPort } from '../../core/config/config-values.ts';
import { RpcServer } from '../../core/rpc/rpc-server.ts';
import { schedulerConfigSchema } from '../../scheduler/config.ts';
import { composeScheduler } from '../../scheduler/main.ts';
import type { CommandContext } from '../command-context.ts';
import { cacheClientConfigShape } from './cache-client-config.ts';
import { formatAddress, listenRpc } from './listen.ts';
import { makeDataFolder } from './make-data-folder.ts';
import { connectBus } from './open-bus.ts';
import { openServerSecurity } from './open-server-security.ts';
import {
  busConfigShape,
  drainConfigShape,
  processConfigShape,
  type RoleFlags,
  readRoleConfig,
} from './process-config.ts';
import { connectRemoteCache } from './remote-cache.ts';
import { runRole } from './role-process.ts';
import { securityConfigShape } from './security-config.ts';

/** Settings of `ingot scheduler`. */
export const schedulerRoleSchema = z.object({
  ...schedulerConfigSchema.shape,
  ...processConfigShape,
  ...busConfigShape,
  ...drainConfigShape,
  ...securityConfigShape,
  /** Where clients come, for execution and for the cache as well. */
  grpc: hostPort().prefault('127.0.0.1:8980'),
  ...cacheClientConfigShape,
  /** The NATS server. */
  nats: z.string().default('nats://127.0.0.1:4222'),
});

/** `ingot scheduler`: Execute for clients, and the cache's services passed on, so that one endpoint is a whole farm. */
export async function runSchedulerRole(context: CommandContext, flags: RoleFlags): Promise<number> {
  const config = readRoleConfig(schedulerRoleSchema, flags, context.io);
  const { signal, version } = context;
  return runRole(context, config, async (host) => {
    await makeDataFolder(config.data);
    const security = await openServerSecurity(config, [config.grpc], host);
    const cache = await connectRemoteCache(config, host, { signal });
    const { bus, description } = await connectBus(
      { ...config, url: config.nats, name: 'ingot scheduler' },
      host,
      { signal },
    );
    const { blobStoreOf, actionCache } = cache;
    const scheduler = await composeScheduler(config, host, {
      blobStoreOf,
      actionCache,
      bus,
      busDescription: description,
      version,
    });
    const rpc = new RpcServer({ logger: host.logger, ...security });
    host.lifecycle.use('gRPC server', rpc);
    cache.addServices(rpc, { execution: scheduler.executionCapabilities });
    scheduler.addServices(rpc);
    const grpc = await listenRpc(rpc, config.grpc);
    return {
      endpoints: { grpc: formatAddress(grpc) },
      drain: async () => {
        // Clients that wait for an action are told to come back; uploads and downloads may go on.
        scheduler.drain();
        cache.drain();
        await rpc.close({ graceMs: config.drainTimeout });
      },
    };
  });
}
