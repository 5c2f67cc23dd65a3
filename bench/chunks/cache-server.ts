import { cacheConfigSchema } from '../../cache/config.ts';
import { composeCache } from '../../cache/main.ts';
import { Lifecycle } from '../../core/lifecycle.ts';
import { createLogger } from '../../core/log/logger.ts';
import { RpcServer } from '../../core/rpc/rpc-server.ts';

// A cache on the folder named, for a benchmark. Tells its port, and on request how much memory it has needed.
const [data = ''] = process.argv.slice(2);
const logger = createLogger({ level: 'warn', format: 'text' });
const lifecycle = new Lifecycle({ logger });
const cache = await composeCache(cacheConfigSchema.parse({ data }), { logger, lifecycle });
const rpc = new RpcServer({ logger });
cache.addServices(rpc);
const { port } = await rpc.listen({ host: '127.0.0.1', port: 0 });
process.on('message', () => process.send?.({ rssMaxBytes: process.resourceUsage().maxRSS * 1024 }));
process.on('disconnect', () => process.exit());
process.send?.({ port });
