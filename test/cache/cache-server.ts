import { cacheConfigSchema } from '../../cache/config.ts';
import { composeCache } from '../../cache/main.ts';
import { Lifecycle } from '../../core/lifecycle.ts';
import { silentLogger } from '../../core/log/logger.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { RpcServer } from '../../core/rpc/rpc-server.ts';
import { tempFolder } from '../setup/temp-folder.ts';

/** A whole cache in a temporary folder, with a gRPC server and a channel to it. */
export async function openCacheServer(
  settings: {
    readonly blobBytesMax?: number;
    readonly actionCacheUpdates?: boolean;
    /** 0 has small blobs read from the disk each time, for tests that damage them there. */
    readonly recentBlobBytes?: number;
  } = {},
) {
  const folder = await tempFolder();
  const logger = silentLogger;
  const lifecycle = new Lifecycle({ logger });
  const cache = await composeCache(
    cacheConfigSchema.parse({ blobBytesMax: 2 ** 30, ...settings, data: folder.path }),
    { logger, lifecycle },
  );
  const rpc = new RpcServer({ logger });
  cache.addServices(rpc);
  const { port } = await rpc.listen({ host: '127.0.0.1', port: 0 });
  lifecycle.defer('gRPC server', () => rpc.close({ graceMs: 100 }));
  const channel = new RpcChannel({ address: `127.0.0.1:${port}` });
  return {
    ...cache,
    folder: `${folder.path}/cache`,
    channel,
    port,
    async [Symbol.asyncDispose]() {
      await channel.close();
      await lifecycle.shutdown({ deadlineMs: 5000 });
      await folder[Symbol.asyncDispose]();
    },
  };
}
