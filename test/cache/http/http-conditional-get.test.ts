import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { store } from '../directories.ts';

let server: Awaited<ReturnType<typeof openCacheServer>>;
let base: string;

beforeAll(async () => {
  server = await openCacheServer();
  const { port } = await server.listenHttp({ host: '127.0.0.1', port: 0 });
  base = `http://127.0.0.1:${port}`;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

for (const sizeBytes of [1000, 3_000_000]) {
  describe(`a blob of ${sizeBytes} bytes`, () => {
    const { bytes, digest } = sampleBlob(sizeBytes, 81_000 + sizeBytes);
    const tag = `"${digest.hash}"`;
    const ask = (headers: Record<string, string>, method = 'GET') =>
      fetch(`${base}/cas/${digest.hash}`, { headers, method });

    beforeAll(async () => {
      await store(server.blobStore, bytes);
    });

    it.each([
      ['bytes=0-0', 0, 1],
      ['bytes=100-199', 100, 200],
      ['bytes=990-', 990, sizeBytes],
      ['bytes=-10', sizeBytes - 10, sizeBytes],
      ['bytes=0-', 0, sizeBytes],
    ])('gives %s of it', async (range, start, end) => {
      const response = await ask({ range });
      expect(response.status).toBe(206);
      expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/${sizeBytes}`);
      expect(response.headers.get('content-length')).toBe(String(end - start));
      expect(response.headers.get('etag')).toBe(tag);
      expect(Buffer.from(await response.arrayBuffer()).equals(bytes.subarray(start, end))).toBe(true);
    });

    it('answers 416, with the size, beyond its end', async () => {
      const response = await ask({ range: `bytes=${sizeBytes}-` });
      expect([response.status, response.headers.get('content-range'), await response.text()]).toEqual([
        416,
        `bytes */${sizeBytes}`,
        '',
      ]);
    });

    it('gives all of it for several ranges, and where If-Range names other bytes', async () => {
      const several = await ask({ range: 'bytes=0-1,5-6' });
      expect([several.status, (await several.arrayBuffer()).byteLength]).toEqual([200, sizeBytes]);
      const other = await ask({ range: 'bytes=0-1', 'if-range': '"other"' });
      expect([other.status, (await other.arrayBuffer()).byteLength]).toEqual([200, sizeBytes]);
      const same = await ask({ range: 'bytes=0-1', 'if-range': tag });
      expect([same.status, (await same.arrayBuffer()).byteLength]).toEqual([206, 2]);
    });

    it('answers 304 to a client that has it', async () => {
      for (const known of [tag, `W/${tag}`, `"a", ${tag}`, '*']) {
        for (const method of ['GET', 'HEAD']) {
          const response = await ask({ 'if-none-match': known }, method);
          expect([response.status, response.headers.get('etag'), await response.text()]).toEqual([
            304,
            tag,
            '',
          ]);
        }
      }
      const response = await ask({ 'if-none-match': '"other"' });
      expect([response.status, (await response.arrayBuffer()).byteLength]).toEqual([200, sizeBytes]);
    });

    it('says by HEAD what GET would give', async () => {
      const { status, headers } = await ask({ range: 'bytes=0-1' }, 'HEAD');
      expect(status).toBe(200);
      expect(headers.get('content-length')).toBe(String(sizeBytes));
      expect(headers.get('accept-ranges')).toBe('bytes');
      expect(headers.get('etag')).toBe(tag);
    });
  });
}
