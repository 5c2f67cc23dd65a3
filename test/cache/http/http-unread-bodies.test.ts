import { execFile } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unauthenticated } from '../../../core/error.ts';
import { chunked, RawHttp } from '../../setup/raw-http.ts';
import { ScrapedMetrics } from '../../setup/scraped-metrics.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';

const run = promisify(execFile);
const MIB = 2 ** 20;
const LARGE = Buffer.alloc(100_000_000);
const HASH = 'a'.repeat(64);

let server: Awaited<ReturnType<typeof openCacheServer>>;
let folder: Awaited<ReturnType<typeof tempFolder>>;
let port: number;
/** A cache that keeps what it has: its clients may not publish, */
let readOnly: Awaited<ReturnType<typeof openCacheServer>>;
let readOnlyPort: number;
/** and here they may not even enter. */
let closedPort: number;
let file: string;

beforeAll(async () => {
  server = await openCacheServer({ blobBytesMax: 50_000_000 });
  ({ port } = await server.listenHttp({ host: '127.0.0.1', port: 0 }));
  readOnly = await openCacheServer({ actionCacheUpdates: false });
  ({ port: readOnlyPort } = await readOnly.listenHttp({ host: '127.0.0.1', port: 0 }));
  const authenticate = () => Promise.reject(unauthenticated('nobody may enter'));
  const security = { authenticator: { authenticate } };
  ({ port: closedPort } = await readOnly.listenHttp({ host: '127.0.0.1', port: 0 }, security));
  folder = await tempFolder();
  file = join(folder.path, 'large');
  await writeFile(file, LARGE);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await readOnly[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

let seed = 70_000;
function fresh(sizeBytes: number) {
  seed += 1;
  return sampleBlob(sizeBytes, seed);
}

interface Refused {
  readonly status: number;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly at?: () => number;
}

const REFUSED: readonly Refused[] = [
  { status: 400, path: '/cas/abc' },
  { status: 400, path: '/%zz' },
  { status: 401, path: `/cas/${HASH}`, at: () => closedPort },
  { status: 403, path: `/ac/${HASH}`, at: () => readOnlyPort },
  { status: 404, path: '/nowhere' },
  { status: 413, path: `/cas/${HASH}` },
  { status: 415, path: `/cas/${HASH}`, headers: { 'content-encoding': 'br' } },
];

describe.each(REFUSED)(
  '$status for a PUT of 100 MB to $path',
  ({ status, path, headers = {}, at = () => port }) => {
    const url = () => `http://127.0.0.1:${at()}${path}`;

    it.each([
      ['with its length', ['-H', 'Expect:']],
      ['in chunks', ['-H', 'Expect:', '-H', 'Transfer-Encoding: chunked']],
      ['asking for leave', ['-H', 'Expect: 100-continue']],
    ])('reaches curl, which sends it %s', async (_what, args) => {
      const named = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
      const { stdout } = await run('curl', [
        '-sS',
        '-T',
        file,
        '-w',
        '%{http_code}',
        ...args,
        ...named,
        url(),
      ]);
      expect(stdout).toMatch(new RegExp(`${status}$`));
    });

    it('reaches fetch', async () => {
      const response = await fetch(url(), { method: 'PUT', body: LARGE, headers });
      expect(response.status).toBe(status);
      expect(await response.text()).not.toBe('');
    });

    it.each([
      ['with its length', `Content-Length: ${LARGE.length}`, LARGE],
      ['in chunks', 'Transfer-Encoding: chunked', chunked(LARGE)],
    ])('reaches a client that sends all %s before it looks', async (_what, framing, body) => {
      using client = new RawHttp(at());
      const named = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
      await client.head(`PUT ${path}`, framing, ...named);
      await client.send(body);
      const answer = await client.answer();
      expect([answer.status, answer.headers.get('connection')]).toEqual([status, 'close']);
      await client.closed();
    });
  },
);

describe('a client that goes on and on', () => {
  it.each([
    ['a PUT that is too large', `PUT /cas/${HASH}`, 413],
    ['a GET that should have no body', 'GET /healthz', undefined],
  ])('is cut off: %s', async (_what, requestLine, status) => {
    using client = new RawHttp(port);
    await client.head(requestLine, 'Content-Length: 100000000000');
    if (status !== undefined) expect((await client.answer()).status).toBe(status);
    let sentBytes = 0;
    const piece = Buffer.alloc(MIB);
    const sendAll = async () => {
      for (;;) {
        await client.send(piece);
        sentBytes += piece.length;
      }
    };
    client.socket.on('error', () => undefined);
    await expect(sendAll()).rejects.toThrow(/EPIPE|ECONNRESET|ECANCELED/);
    // What fills the buffers of both ends comes on top.
    expect(sentBytes).toBeGreaterThanOrEqual(255 * MIB);
    expect(sentBytes).toBeLessThan(300 * MIB);
  });
});

describe('what a store does not need of a body', () => {
  it('is read before the answer, so that the connection can go on: a blob that is there already', async () => {
    const { bytes, digest } = fresh(20_000_000);
    using client = new RawHttp(port);
    for (const framing of [`Content-Length: ${bytes.length}`, `Content-Length: ${bytes.length}`]) {
      await client.head(`PUT /cas/${digest.hash}`, framing);
      await client.send(bytes);
      expect((await client.answer()).status).toBe(200);
    }
    await client.head('GET /healthz');
    expect(await client.answer()).toMatchObject({ status: 200, body: 'ok\n' });
  });

  it('is read before the answer: another upload of the blob was done first', async () => {
    const { bytes, digest } = fresh(20_000_000);
    using slow = new RawHttp(port);
    await slow.head(`PUT /cas/${digest.hash}`, `Content-Length: ${bytes.length}`);
    await slow.send(bytes.subarray(0, 1_000_000));
    await expect.poll(() => readdir(join(server.folder, 'incoming'))).toHaveLength(1);
    const url = `http://127.0.0.1:${port}/cas/${digest.hash}`;
    expect((await fetch(url, { method: 'PUT', body: Buffer.from(bytes) })).status).toBe(200);
    await slow.send(bytes.subarray(1_000_000));
    expect((await slow.answer()).status).toBe(200);
    await slow.head('GET /healthz');
    expect(await slow.answer()).toMatchObject({ status: 200, body: 'ok\n' });
  });

  it('is not asked for by a client that waits for leave to send it', async () => {
    const { bytes, digest } = fresh(1_000_000);
    const url = `http://127.0.0.1:${port}/cas/${digest.hash}`;
    expect((await fetch(url, { method: 'PUT', body: Buffer.from(bytes) })).status).toBe(200);
    using client = new RawHttp(port);
    await client.head(`PUT /cas/${digest.hash}`, `Content-Length: ${bytes.length}`, 'Expect: 100-continue');
    const answer = await client.answer();
    expect([answer.status, answer.headers.get('connection')]).toEqual([200, 'close']);
    await client.closed();
  });

  it.each([70_000, 131_000, 140_000, 200_000, 1_000_000])(
    'does not hold up the next request: %i bytes that are no zstd frame',
    async (sizeBytes) => {
      const send = async (client: RawHttp) => {
        await client.head(`PUT /cas/${HASH}`, `Content-Length: ${sizeBytes}`, 'Content-Encoding: zstd');
        await client.send(Buffer.alloc(sizeBytes));
        return client.answer();
      };
      using client = new RawHttp(port);
      const { status, headers } = await send(client);
      expect(status).toBe(400);
      if (headers.get('connection') === 'close') {
        await client.closed();
        return;
      }
      await client.head('GET /healthz');
      expect(await client.answer()).toMatchObject({ status: 200, body: 'ok\n' });
    },
  );
});

describe('the body of another request than a PUT', () => {
  it.each([
    ['PROPFIND /webdav/', ['Depth: 0'], 207],
    ['GET /healthz', [], 200],
    ['DELETE /webdav/nothing', [], 404],
  ])('is let in before the answer: %s', async (requestLine, headers, status) => {
    using client = new RawHttp(port);
    for (let round = 0; round < 2; round += 1) {
      await client.head(requestLine, ...headers, 'Content-Length: 1000000');
      await client.send(Buffer.alloc(1_000_000));
      const answer = await client.answer();
      expect([answer.status, answer.headers.get('connection')]).toEqual([status, 'keep-alive']);
    }
  });

  it('is asked for when its sender waits for leave', async () => {
    using client = new RawHttp(port);
    await client.head('PROPFIND /webdav/', 'Depth: 0', 'Content-Length: 10', 'Expect: 100-continue');
    expect((await client.answer()).status).toBe(100);
    await client.send(Buffer.alloc(10));
    expect((await client.answer()).status).toBe(207);
  });
});

it('counts a refused client by what it was told, also when it leaves at once', async () => {
  const sample = 'ingot_http_requests_total{method="PUT",status="415",view="webdav"}';
  const count = async () =>
    new ScrapedMetrics(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).value(sample);
  {
    using client = new RawHttp(port);
    await client.head('PUT /webdav/x', 'Content-Length: 1000000', 'Content-Encoding: br');
    expect((await client.answer()).status).toBe(415);
  }
  await expect.poll(count).toBe(1);
});

it('answers what comes on an open connection while the server closes with 503 and a time', async () => {
  await using closing = await openCacheServer();
  const { port: closingPort } = await closing.listenHttp({ host: '127.0.0.1', port: 0 });
  const { bytes, digest } = fresh(1_000_000);
  using client = new RawHttp(closingPort);
  await client.head(`PUT /cas/${digest.hash}`, `Content-Length: ${bytes.length}`);
  await client.send(bytes.subarray(0, 500_000));
  await expect.poll(() => readdir(join(closing.folder, 'incoming'))).toHaveLength(1);
  const closed = closing[Symbol.asyncDispose]();
  const isOpen = () =>
    fetch(`http://127.0.0.1:${closingPort}/healthz`).then(
      () => true,
      () => false,
    );
  await expect.poll(isOpen).toBe(false);
  await client.send(bytes.subarray(500_000));
  await client.head(`PUT /cas/${HASH}`, 'Content-Length: 1000000');
  await client.send(Buffer.alloc(1_000_000));
  expect((await client.answer()).status).toBe(200);
  const answer = await client.answer();
  expect([answer.status, answer.headers.get('connection'), answer.headers.get('retry-after')]).toEqual([
    503,
    'close',
    '1',
  ]);
  await client.closed();
  await closed;
});
