import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ChunkedBytes } from '../../../cache/chunking/chunked-bytes.ts';
import { bytesOf } from '../../../core/streams.ts';
import { sampleBytes } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { cut } from '../chunking/chunked-store.ts';

it('gives a spliced blob by its hash, whole and in parts, until a chunk of it is gone', async () => {
  await using server = await openCacheServer();
  const { port } = await server.listenHttp({ host: '127.0.0.1', port: 0 });
  const bytes = sampleBytes(5 * 1024 * 1024, 90_001);
  const { digest, chunks } = await cut(bytes);
  const url = `http://127.0.0.1:${port}/cas/${digest.hash}`;
  const { blobStore } = server;
  for (const chunk of chunks) await blobStore.write(chunk.digest, bytesOf(chunk.bytes));
  expect((await fetch(url)).status).toBe(404);

  const list = { chunks: chunks.map((chunk) => chunk.digest), chunkingFunction: 1 as const };
  await blobStore.write(digest, new ChunkedBytes(list, blobStore));

  const head = await fetch(url, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.byteLength)]);
  const whole = Buffer.from(await (await fetch(url)).arrayBuffer());
  expect(whole.equals(bytes)).toBe(true);
  const start = (chunks[0]?.bytes.byteLength ?? 0) - 10;
  const part = await fetch(url, { headers: { range: `bytes=${start}-${start + 999_999}` } });
  expect(part.status).toBe(206);
  expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(start, start + 1_000_000))).toBe(true);

  const gone = chunks.find((chunk) => chunk.bytes.byteLength > 300_000)?.digest.hash ?? '';
  await rm(join(server.folder, 'cas-v1', 'sha256', gone.slice(0, 2), gone));
  // The store learns of it when it looks for the file.
  await fetch(url).then(
    (response) => response.arrayBuffer().catch(() => undefined),
    () => undefined,
  );
  expect((await fetch(url)).status).toBe(404);
});
