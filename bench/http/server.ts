import { createReadStream } from 'node:fs';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { cacheConfigSchema } from '../../cache/config.ts';
import { composeCache } from '../../cache/main.ts';
import { Digest } from '../../core/digest.ts';
import { Lifecycle } from '../../core/lifecycle.ts';
import { silentLogger } from '../../core/log/logger.ts';
import { bytesOf } from '../../core/streams.ts';

/**
 * Runs one of the two servers on a folder, with one blob of each size given; sends its parent its port and the paths,
 * and its CPU time when asked. `node server.ts ingot|files FOLDER SIZE…`
 */
const [which, folder = '', ...sizes] = process.argv.slice(2);
const blobs = sizes.map((size) => {
  const bytes = Buffer.alloc(Number(size));
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
  return { bytes, digest: Digest.ofBytes(bytes) };
});

async function serveIngot(): Promise<number> {
  const logger = silentLogger;
  const lifecycle = new Lifecycle({ logger });
  const config = cacheConfigSchema.parse({ data: folder });
  const cache = await composeCache(config, { logger, lifecycle });
  for (const { bytes, digest } of blobs) await cache.blobStore.write(digest, bytesOf(bytes));
  return (await cache.listenHttp({ host: '127.0.0.1', port: 0 })).port;
}

/** What one writes when the bytes are files and nothing else matters: the ceiling. */
async function serveFiles(): Promise<number> {
  await mkdir(join(folder, 'cas'), { recursive: true });
  for (const { bytes, digest } of blobs) await writeFile(join(folder, 'cas', digest.hash), bytes);
  const server = createServer(async (request, response) => {
    const path = join(folder, request.url ?? '');
    const { size } = await stat(path);
    response.writeHead(200, { 'content-length': size, 'content-type': 'application/octet-stream' });
    createReadStream(path, { highWaterMark: 1024 * 1024 }).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const port = await (which === 'ingot' ? serveIngot() : serveFiles());
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuUs: user + system });
});
process.send?.({ port, paths: blobs.map(({ digest }) => `/cas/${digest.hash}`) });
