import { get, type IncomingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { acceptsZstd } from '../../../cache/http/accepts-zstd.ts';
import { bytesOf } from '../../../core/streams.ts';
import { readAll, sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { compressibleBlob, runZstd, streamedFrame, zstdFrame } from '../compression/zstd-samples.ts';

/** Forms are filed behind the answer, when the disk has them. */
const PATIENT = { timeout: 10_000 };

let server: Awaited<ReturnType<typeof openCacheServer>>;
let port: number;

beforeAll(async () => {
  server = await openCacheServer({ blobBytesMax: 10_000_000 });
  ({ port } = await server.listenHttp({ host: '127.0.0.1', port: 0 }));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** The answer as it comes: fetch would decode it. */
async function read(hash: string, headers: Record<string, string> = { 'accept-encoding': 'gzip, zstd' }) {
  const answer = await new Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }>(
    (resolve, reject) => {
      get({ host: '127.0.0.1', port, path: `/cas/${hash}`, headers }, async (response) => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: await buffer(response),
        });
      }).on('error', reject);
    },
  );
  return answer;
}

async function put(hash: string, body: Uint8Array) {
  const response = await fetch(`http://127.0.0.1:${port}/cas/${hash}`, {
    method: 'PUT',
    body: Buffer.from(body),
    headers: { 'content-encoding': 'zstd' },
  });
  return { status: response.status, text: await response.text() };
}

describe('GET /cas with Accept-Encoding: zstd', () => {
  it('gives a blob compressed, the second time with its length', async () => {
    const { bytes, digest } = compressibleBlob(900_000, 1);
    await server.blobStore.write(digest, bytesOf(bytes));
    const first = await read(digest.hash);
    expect(first.headers).toMatchObject({
      'content-encoding': 'zstd',
      vary: 'accept-encoding',
      etag: `"${digest.hash}-zstd"`,
    });
    expect(zstdDecompressSync(first.body).equals(bytes)).toBe(true);
    await expect
      .poll(async () => (await read(digest.hash)).headers['content-length'], PATIENT)
      .toBe(String(first.body.byteLength));
    expect((await read(digest.hash)).body.equals(first.body)).toBe(true);
  });

  it('gives it as it is to who does not ask, or asks for a part', async () => {
    const { bytes, digest } = compressibleBlob(900_000, 3);
    await server.blobStore.write(digest, bytesOf(bytes));
    const plain = await read(digest.hash, {});
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(plain.headers.vary).toBe('accept-encoding');
    expect(plain.body.equals(bytes)).toBe(true);
    const part = await read(digest.hash, { 'accept-encoding': 'zstd', range: 'bytes=10-19' });
    expect([part.status, part.headers['content-encoding']]).toEqual([206, undefined]);
    expect(part.body.equals(bytes.subarray(10, 20))).toBe(true);
  });

  it('gives what does not compress as it is', async () => {
    const { bytes, digest } = sampleBlob(300_000, 90_001);
    await server.blobStore.write(digest, bytesOf(bytes));
    await read(digest.hash);
    await expect
      .poll(async () => (await read(digest.hash)).headers['content-encoding'], PATIENT)
      .toBeUndefined();
    const again = await read(digest.hash);
    expect(again.headers['content-length']).toBe('300000');
    expect(again.body.equals(bytes)).toBe(true);
  });

  it.each([
    ['zstd', true],
    ['gzip, ZSTD', true],
    ['zstd;q=0.5', true],
    ['zstd; q=1.0', true],
    ['zstd;q=0', false],
    ['gzip', false],
    ['xzstd', false],
    [undefined, false],
  ])('reads %j', (header, expected) => {
    expect(acceptsZstd({ 'accept-encoding': header })).toBe(expected);
  });
});

describe('PUT /cas with Content-Encoding: zstd', () => {
  it.each([0, 1, 900_000])('stores %i bytes that come as a frame', async (sizeBytes) => {
    const { bytes, digest } = compressibleBlob(sizeBytes, 5);
    expect(await put(digest.hash, zstdFrame(bytes))).toEqual({ status: 200, text: '' });
    expect((await readAll(server.blobStore, digest))?.equals(bytes)).toBe(true);
  });

  it('refuses other bytes, no frame, and a frame that does not say its size', async () => {
    const { bytes, digest } = compressibleBlob(50_000, 7);
    const other = compressibleBlob(50_000, 9);
    const unsaid =
      `INVALID_ARGUMENT: Write ${digest.hash}: ` +
      'the bytes that arrived are not a zstd frame that says how much it holds\n';
    expect(await put(digest.hash, zstdFrame(other.bytes))).toEqual({
      status: 400,
      text: `INVALID_ARGUMENT: Write ${digest}: the bytes that arrived are ${other.digest}\n`,
    });
    expect(await put(digest.hash, bytes)).toEqual({ status: 400, text: unsaid });
    expect(await put(digest.hash, Buffer.alloc(0))).toEqual({ status: 400, text: unsaid });
    expect(await put(digest.hash, await streamedFrame(bytes))).toEqual({ status: 400, text: unsaid });
    const cut = (await runZstd(['-3', `--stream-size=${bytes.byteLength}`], bytes)).subarray(0, -10);
    expect((await put(digest.hash, cut)).text).toMatch(
      /not one zstd frame: it is cut off after \d+ bytes\n$/,
    );
    expect(await server.blobStore.findMissing([digest])).toHaveLength(1);
  });
});
