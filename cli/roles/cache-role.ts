import { z } from 'zod';
import { cacheConfigSchema } from '../../cache/config.ts';
import { composeCache } from '../../cache/main.ts';
import { hostPort } from '../../core/config/config-values.ts';
import { RpcServer } from '../../core/rpc/rpc-server.ts';
import type { CommandContext } from '../command-context.ts';
import { formatAddress, listenHttp, listenRpc } from './listen.ts';
import { makeDataFolder } from './make-data-folder.ts';
import { openServerSecurity } from './open-server-security.ts';
import { drainConfigShape, processConfigShape, type RoleFlags, readRoleConfig } from './process-config.ts';
import { runRole } from './role-process.ts';
import { securityConfigShape } from './security-config.ts';

/** Settings of `ingot cache`. */
export const cacheRoleSchema = z.object({
  ...cacheConfigSchema.shape,
  ...processConfigShape,
  ...drainConfigShape,
  ...securityConfigShape,
  /** Where the gRPC services listen. */
  grpc: hostPort().prefault('127.0.0.1:8982'),
  /** Where /cas and /ac listen. */
  http: hostPort().prefault('127.0.0.1:8981'),
});

/** `ingot cache`: the store and the action cache, over gRPC and HTTP. */
export async function runCacheRole(context: CommandContext, flags: RoleFlags): Promise<number> {
  const config = readRoleConfig(cacheRoleSchema, flags, context.io);
  return runRole(context, config, async (host) => {
    await makeDataFolder(config.data);
    const security = await openServerSecurity(config, [config.grpc, config.http], host);
    const cache = await composeCache(config, host);
    const rpc = new RpcServer({ logger: host.logger, ...security });
    host.lifecycle.use('gRPC server', rpc);
    host.metrics?.add(rpc);
    cache.addServices(rpc);
    const grpc = await listenRpc(rpc, config.grpc);
    const http = await listenHttp(cache, config.http, security);
    return {
      endpoints: { grpc: formatAddress(grpc), http: formatAddress(http) },
      drain: async () => {
        cache.drain();
        await rpc.close({ graceMs: config.drainTimeout });
      },
    };
  });
}
