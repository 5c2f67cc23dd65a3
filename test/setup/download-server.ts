import { startEcho } from './rpc.ts';

/**
 * A server in a process of its own, so that its memory can be looked at: `download` sends as many MiB as it is asked
 * for, `upload` waits for ever without reading. Sends its port to its parent, and its resident bytes when asked.
 */
const CHUNK = 64 * 1024;
const echo = await startEcho({
  async *download({ value }) {
    for (let sent = 0; sent < Number(value) * 2 ** 20; sent += CHUNK) yield { value: Buffer.alloc(CHUNK, 1) };
  },
  upload: () => new Promise(() => undefined),
});
process.on('message', () => process.send?.({ rssBytes: process.memoryUsage.rss() }));
process.send?.({ port: echo.port });
