import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { bytesOf } from '../../core/streams.ts';
import { sampleBlob } from '../cache/bytes.ts';
import { chunked, RawHttp } from '../setup/raw-http.ts';
import { ScrapedMetrics } from '../setup/scraped-metrics.ts';
import { smallDisk } from '../setup/small-disk.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { flipBit, placesOf } from './damage-blob.ts';
import { fault } from './fault.ts';
import { ServerUnderFault } from './server-under-fault.ts';

let data: AsyncDisposable & { readonly path: string };
let cache: ServerUnderFault;
let seed = 90_000;

beforeAll(async () => {
  data = await tempFolder();
  cache = await ServerUnderFault.start(data.path);
});
afterAll(async () => {
  await cache?.[Symbol.asyncDispose]();
  await data?.[Symbol.asyncDispose]();
});

function fresh(sizeBytes: number) {
  seed += 1;
  return sampleBlob(sizeBytes, seed);
}

const url = (path: string, of = cache) => `http://${of.http}${path}`;

async function put(path: string, body: Uint8Array, of = cache): Promise<number> {
  const response = await fetch(url(path, of), { method: 'PUT', body: Buffer.from(body) });
  await response.arrayBuffer();
  return response.status;
}

/** The status and the bytes; `broken` when the answer ended before its announced end. */
async function get(path: string, of = cache): Promise<{ status: number; bytes: Buffer | 'broken' }> {
  const response = await fetch(url(path, of));
  const bytes = await response.arrayBuffer().then(Buffer.from, () => 'broken' as const);
  return { status: response.status, bytes };
}

async function gives(of: ServerUnderFault, path: string, bytes: Buffer): Promise<boolean> {
  const seen = await get(path, of);
  return seen.bytes !== 'broken' && seen.bytes.equals(bytes);
}

async function metric(sample: string, of = cache): Promise<number | undefined> {
  return new ScrapedMetrics(await (await fetch(url('/metrics', of))).text()).value(sample);
}

async function incoming(of = cache): Promise<string[]> {
  return readdir(of.folder('incoming'));
}

/** What a client that looks only once it has sent all is answered; a second request on its connection must be served. */
async function putWhole(of: ServerUnderFault, path: string, body: Uint8Array, how: readonly string[]) {
  using client = new RawHttp(Number(of.http.split(':')[1]));
  const isChunked = how.includes('Transfer-Encoding: chunked');
  await client.head(`PUT ${path}`, ...how, ...(isChunked ? [] : [`Content-Length: ${body.length}`]));
  if (how.includes('Expect: 100-continue')) expect((await client.answer()).status).toBe(100);
  await client.send(isChunked ? chunked(body) : body);
  const answer = await client.answer();
  if (answer.headers.get('connection') === 'close') {
    await client.closed();
  } else {
    await client.head('GET /status');
    expect((await client.answer()).status).toBe(200);
  }
  return answer;
}

const FRAMINGS = [[], ['Expect: 100-continue'], ['Transfer-Encoding: chunked']];

fault(
  'R10',
  'over HTTP: uploads to a disk that someone else fills, until there is room again',
  async (saw) => {
    await using folder = await tempFolder();
    const disk = join(folder.path, 'disk');
    await using _ = await smallDisk(disk, 32 * 2 ** 20);
    // A limit that the disk cannot keep.
    await using full = await ServerUnderFault.start(disk, { flags: ['--cache-bytes', '1GiB'] });
    const kept = [fresh(1000), fresh(500_000), fresh(6_000_000)];
    for (const { bytes, digest } of kept) await full.blobs.write(digest, bytesOf(bytes));
    // Held by a build, so that nothing can be evicted.
    const digests = kept.map(({ digest }) => digest);
    expect(await full.blobs.findMissing(digests, { invocationId: 'build' })).toEqual([]);
    const filler = join(disk, 'filler');
    await expect(writeFile(filler, Buffer.alloc(64 * 2 ** 20))).rejects.toThrow('ENOSPC');

    const refused: number[] = [];
    for (const sizeBytes of [30_000, 300_000, 20_000_000]) {
      for (const view of ['cas', 'webdav', 'ac']) {
        for (const how of FRAMINGS) {
          const { bytes, digest } = fresh(sizeBytes);
          const path = `/${view}/${digest.hash}`;
          const { status, headers, body } = await putWhole(full, path, bytes, how);
          const what = `${sizeBytes} bytes to /${view}, ${how}`;
          expect([status, body], what).toEqual([507, expect.stringMatching(/^RESOURCE_EXHAUSTED: Write /)]);
          expect(headers.get('retry-after'), what).toBe('5');
          expect((await get(path, full)).status, what).toBe(404);
          refused.push(sizeBytes);
        }
      }
      const another = fresh(sizeBytes);
      expect(await put(`/cas/${another.digest.hash}`, another.bytes, full)).toBe(507);
      for (const { bytes, digest } of kept)
        expect(await gives(full, `/cas/${digest.hash}`, bytes)).toBe(true);
    }
    expect(await incoming(full)).toEqual([]);

    await rm(filler);
    for (const view of ['cas', 'webdav', 'ac']) {
      for (const sizeBytes of [30_000, 5_000_000]) {
        const { bytes, digest } = fresh(sizeBytes);
        const path = `/${view}/${digest.hash}`;
        expect((await putWhole(full, path, bytes, [])).status).toBeLessThan(300);
        expect(await gives(full, path, bytes)).toBe(true);
      }
    }
    saw(
      `all ${refused.length} PUTs of 30 kB to 20 MB were 507 with Retry-After, nothing was left in incoming/`,
    );
    saw('GETs went on; PUTs were taken again without a restart');
  },
  { skip: process.getuid?.() === 0 ? undefined : 'mounting a small disk takes root' },
);

fault('R12', 'over HTTP: a bit of a stored blob turns over while the cache is down', async (saw) => {
  await using folder = await tempFolder();
  const blobs = [fresh(1000), fresh(3_000_000)];
  {
    await using before = await ServerUnderFault.start(folder.path);
    for (const { bytes, digest } of blobs) expect(await put(`/cas/${digest.hash}`, bytes, before)).toBe(200);
    await before.process.stop('SIGTERM');
  }
  for (const { bytes } of blobs) {
    const [place, ...others] = await placesOf(join(folder.path, 'cache'), bytes);
    expect([place !== undefined, others]).toEqual([true, []]);
    if (place !== undefined) await flipBit(place, bytes.length - 1);
  }
  await using after = await ServerUnderFault.start(folder.path);
  for (const { bytes, digest } of blobs) {
    const path = `/cas/${digest.hash}`;
    const seen = await get(path, after);
    expect(seen.status === 404 || seen.bytes === 'broken').toBe(true);
    expect((await get(path, after)).status).toBe(404);
    expect((await fetch(url(path, after), { method: 'HEAD' })).status).toBe(404);
    expect(await put(path, bytes, after)).toBe(200);
    expect(await gives(after, path, bytes)).toBe(true);
    const first = seen.status === 404 ? '404' : 'broken off';
    saw(`${bytes.length} bytes: first GET ${first}, then 404, healed by a PUT`);
  }
  const corrupt = await metric('ingot_store_corrupt_blobs_total', after);
  saw(`ingot_store_corrupt_blobs_total ${corrupt}`);
  expect(corrupt).toBeGreaterThan(0);
});

fault('R16', 'over HTTP: a client is killed, or resets, in mid-upload', async (saw) => {
  for (const view of ['cas', 'webdav']) {
    const { bytes, digest } = fresh(8_000_000);
    const path = `/${view}/${digest.hash}`;
    const curl = spawn('curl', ['-sS', '-T', '-', '-H', 'Expect:', '--limit-rate', '4M', url(path)]);
    curl.stdin.on('error', () => undefined);
    curl.stdin.write(bytes);
    await expect.poll(() => incoming(), { timeout: 20_000 }).toHaveLength(1);
    curl.kill('SIGKILL');
    await once(curl, 'exit');
    await expect.poll(() => incoming(), { timeout: 10_000 }).toEqual([]);
    expect((await get(path)).status).toBe(404);

    const upload = request(url(path), { method: 'PUT', headers: { 'content-length': bytes.length } });
    upload.on('error', () => undefined);
    upload.write(bytes.subarray(0, 6_000_000));
    await expect.poll(() => incoming(), { timeout: 20_000 }).toHaveLength(1);
    upload.socket?.resetAndDestroy();
    await expect.poll(() => incoming(), { timeout: 10_000 }).toEqual([]);
    expect((await get(path)).status).toBe(404);
    saw(`/${view}: 404 and nothing in incoming/ after both`);
  }
});

/** What is answered to a request as it stands, the connection being closed after it. */
async function raw(lines: readonly string[], body: Uint8Array = Buffer.alloc(0)): Promise<string> {
  const [host = '', port = ''] = cache.http.split(':');
  const socket = connect(Number(port), host);
  socket.write(`${lines.join('\r\n')}\r\nHost: x\r\n\r\n`);
  socket.end(body);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString().split('\r\n')[0] ?? '';
}

fault('R21', 'over HTTP: lengths and hashes that are not those of the bytes', async (saw) => {
  const { bytes, digest } = fresh(1000);
  const { hash } = digest;
  const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  const line = (name: string) => `PUT /cas/${name} HTTP/1.1`;
  const length = (value: string | number) => `Content-Length: ${value}`;
  const lies: [string, string[], Uint8Array, RegExp][] = [
    ['a byte less than said', [line(hash), length(1001)], bytes, /^(HTTP\/1.1 4\d\d .*)?$/],
    ['a byte more than said', [line(hash), length(999)], bytes.subarray(0, 999), / 400 /],
    ['length -1', [line(hash), length(-1)], bytes, / 400 /],
    ['length 2^63-1', [line(hash), length('9223372036854775807')], bytes, / 400 /],
    ['two lengths', [line(hash), length(1000), length(999)], bytes, / 400 /],
    [
      'length and chunks',
      [line(hash), length(4), 'Transfer-Encoding: chunked'],
      Buffer.from('0\r\n\r\n'),
      / 400 /,
    ],
    ['another blob', [line(hash), length(1000)], fresh(1000).bytes, / 400 /],
    ['upper case', [line(hash.toUpperCase()), length(1000)], bytes, / 400 /],
    ['63 digits', [line(hash.slice(1)), length(1000)], bytes, / 400 /],
    ['65 digits', [line(`${hash}0`), length(1000)], bytes, / 400 /],
    ['nothing, of another hash', [line(hash), length(0)], Buffer.alloc(0), / 400 /],
    ['something, of the hash of nothing', [line(empty), length(1000)], bytes, / 400 /],
  ];
  for (const [what, head, body, expected] of lies) {
    const status = await raw(head, body);
    saw(`${what}: ${status.slice(9, 12) || 'closed'}`);
    expect(status, what).toMatch(expected);
    expect((await get(`/cas/${hash}`)).status).toBe(404);
  }
  expect(await incoming()).toEqual([]);
  expect(await put(`/cas/${hash}`, bytes)).toBe(200);
});
