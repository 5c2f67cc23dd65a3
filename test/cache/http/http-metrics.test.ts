import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ScrapedMetrics } from '../../setup/scraped-metrics.ts';
import { sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';

let server: Awaited<ReturnType<typeof openCacheServer>>;
let origin: string;

beforeEach(async () => {
  server = await openCacheServer();
  const { port } = await server.listenHttp({ host: '127.0.0.1', port: 0 });
  origin = `http://127.0.0.1:${port}`;
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

async function scrape(): Promise<ScrapedMetrics> {
  const response = await fetch(`${origin}/metrics`);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return new ScrapedMetrics(await response.text());
}

const requests = (view: string, method: string, status: number) =>
  `ingot_http_requests_total{method="${method}",status="${status}",view="${view}"}`;

describe('/metrics', () => {
  it('counts requests by view, method and status, and bytes both ways', async () => {
    const { bytes, digest } = sampleBlob(300_000, 1);
    const path = `${origin}/team/cas/${digest.hash}`;
    await fetch(path);
    await fetch(path, { method: 'PUT', body: Buffer.from(bytes) });
    await (await fetch(path)).arrayBuffer();
    await (await fetch(path, { headers: { range: 'bytes=0-999' } })).arrayBuffer();
    await fetch(`${origin}/webdav/a`, { method: 'PUT', body: 'abc' });
    await fetch(`${origin}/made/up/by/a/client`, { method: 'PATCH' });
    const seen = await scrape();
    expect(seen.value(requests('cas', 'GET', 404))).toBe(1);
    expect(seen.value(requests('cas', 'GET', 200))).toBe(1);
    expect(seen.value(requests('cas', 'GET', 206))).toBe(1);
    expect(seen.value(requests('cas', 'PUT', 200))).toBe(1);
    expect(seen.value(requests('webdav', 'PUT', 201))).toBe(1);
    expect(seen.value(requests('other', 'other', 404))).toBe(1);
    expect(seen.value('ingot_http_request_seconds_count{method="GET",view="cas"}')).toBe(3);
    expect(seen.value('ingot_http_received_bytes_total')).toBe(300_003);
    expect(seen.value('ingot_http_sent_bytes_total')).toBe(301_000);
    expect(seen.value('ingot_blob_reads_total{outcome="hit"}')).toBe(2);
    expect(seen.value('ingot_blob_writes_total{outcome="ok"}')).toBe(2);
    expect(seen.value('ingot_store_blobs')).toBe(2);
    expect(seen.value('ingot_store_bytes')).toBeGreaterThan(300_003);
    expect(seen.value('ingot_store_corrupt_blobs_total')).toBe(0);
    expect(seen.value('ingot_uploads_running')).toBe(0);
  });

  it('counts a client that leaves as 499', async () => {
    const upload = request(`${origin}/cas/${sampleBlob(1000).digest.hash}`, {
      method: 'PUT',
      headers: { 'content-length': 1000 },
    });
    upload.on('error', () => undefined);
    upload.write(Buffer.alloc(10));
    await expect.poll(async () => (await scrape()).value('ingot_http_received_bytes_total')).toBe(10);
    upload.destroy();
    await expect.poll(async () => (await scrape()).value(requests('cas', 'PUT', 499))).toBe(1);
  });
});

describe('/status', () => {
  it('has the numbers that matter to a person', async () => {
    const { bytes, digest } = sampleBlob(100, 1);
    await fetch(`${origin}/ac/${digest.hash}`);
    await fetch(`${origin}/cas/${digest.hash}`, { method: 'PUT', body: Buffer.from(bytes) });
    expect(await (await fetch(`${origin}/status`)).json()).toEqual({
      uptimeSeconds: expect.any(Number),
      actionCache: { hit: 0, miss: 1, error: 0, hitRate: 0 },
      blobs: {
        found: 0,
        missing: 0,
        reads: { hit: 0, miss: 0, error: 0 },
        readBytes: 0,
        writes: { ok: 1, refused: 0, error: 0 },
        writtenBytes: 100,
      },
      store: expect.objectContaining({ blobs: 1, storedBytes: expect.any(Number), corruptBlobs: 0 }),
      uploads: 0,
    });
  });
});

describe('/healthz', () => {
  it('says ok, and 503 with the reason once the cache is closing', async () => {
    const well = await fetch(`${origin}/healthz`);
    expect([well.status, await well.text()]).toEqual([200, 'ok\n']);
    server.drain();
    const closing = await fetch(`${origin}/healthz`);
    expect([closing.status, await closing.text()]).toEqual([503, 'the cache is closing\n']);
  });
});
