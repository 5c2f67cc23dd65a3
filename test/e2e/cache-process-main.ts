import { cacheConfigSchema } from '../../cache/config.ts';
import { composeCache } from '../../cache/main.ts';
import { Lifecycle } from '../../core/lifecycle.ts';
import { createLogger } from '../../core/log/logger.ts';
import { RpcServer } from '../../core/rpc/rpc-server.ts';

// A cache with a gRPC endpoint and nothing else: DATA PORT FAIL CACHE_BYTES. Says `{"port":…,"readyMs":…}` once it serves.
const [data = '', port = '0', fail, cacheBytes] = process.argv.slice(2).map((word) => word || undefined);
const logger = createLogger({ level: 'warn', format: 'text' });
const lifecycle = new Lifecycle({ logger });
const cache = await composeCache(cacheConfigSchema.parse({ data, fail, cacheBytes }), { logger, lifecycle });
const rpc = new RpcServer({ logger });
cache.addServices(rpc);
const address = await rpc.listen({ host: '127.0.0.1', port: Number(port) });
process.stdout.write(`${JSON.stringify({ port: address.port, readyMs: performance.now() })}\n`);
