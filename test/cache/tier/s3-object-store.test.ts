import { hash } from 'node:crypto';
import { readFile, truncate } from 'node:fs/promises';
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ObjectSource } from '../../../cache/tier/object-store.ts';
import { S3ObjectStore } from '../../../cache/tier/s3-object-store.ts';
import { cancelled } from '../../../core/error.ts';
import { bytesOf, collectBytes } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { TcpProxy } from '../../setup/tcp-proxy.ts';
import { Versitygw } from '../../setup/versitygw.ts';
import { findVersitygw } from '../../setup/versitygw-program.ts';
import { waitUntil } from '../../setup/wait-until.ts';
import { inPieces, sampleBytes } from '../bytes.ts';

const MIB = 1024 * 1024;
/** More than the buffers of two connections hold. */
const LARGE = 48 * MIB;
/** What an answer may take where the server is frozen on purpose. */
const FROZEN_MS = 300;

const sourceOf = (bytes: Buffer, sha256?: string): ObjectSource => ({
  sizeBytes: bytes.length,
  sha256,
  read: (range) =>
    inPieces(range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.limit), 100_000),
});

describe.skipIf(findVersitygw() === undefined)('S3ObjectStore, against a real S3 server', () => {
  let server: Versitygw;
  let store: S3ObjectStore;
  const open = (port: number, { bucket = 'farm', timeoutMs = 5_000 } = {}) =>
    new S3ObjectStore({
      bucket,
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      pathStyle: true,
      timeoutMs,
    });
  const read = async (key: string, from = store) => {
    const body = await from.get(key);
    return body && (await collectBytes(body.bytes, { bytesMax: 2 ** 30, what: key }));
  };
  beforeAll(async () => {
    Object.assign(process.env, Versitygw.environment);
    server = await Versitygw.start();
    store = open(server.port);
  });
  afterAll(async () => {
    await store?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  it('has nothing under a name that was never written', async () => {
    expect(await store.head('a/b/none')).toBeUndefined();
    expect(await store.get('a/b/none')).toBeUndefined();
  });

  for (const sizeBytes of [1, 1000, 3 * MIB + 7, 70 * MIB]) {
    it(`gives back an object of ${sizeBytes} bytes, whole and from an offset`, async () => {
      const bytes = sampleBytes(sizeBytes, 1);
      const key = `sizes/${sizeBytes}`;
      await store.put(key, sourceOf(bytes, hash('sha256', bytes, 'hex')));
      const facts = await store.head(key);
      expect(facts?.sizeBytes).toBe(sizeBytes);
      expect((await read(key))?.equals(bytes)).toBe(true);
      const offset = Math.floor(sizeBytes / 2);
      const body = await store.get(key, { offset, etag: facts?.etag ?? '' });
      expect(body).toMatchObject({ sizeBytes, etag: facts?.etag });
      const rest = await collectBytes(body!.bytes, { bytesMax: sizeBytes, what: key });
      expect(rest.equals(bytes.subarray(offset))).toBe(true);
    });
  }

  it('has the object store refuse bytes that are not those of the hash', async () => {
    const source = sourceOf(sampleBytes(1000, 2), hash('sha256', 'other bytes', 'hex'));
    await expect(store.put('wrong', source)).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'Write an object: the object store answered BadDigest, HTTP 400',
    });
    expect(await store.head('wrong')).toBeUndefined();
  });

  it('says when an object was replaced in the middle of a read', async () => {
    await store.put('replaced', sourceOf(Buffer.from('first')));
    const facts = await store.head('replaced');
    await store.put('replaced', sourceOf(Buffer.from('later')));
    await expect(store.get('replaced', { offset: 1, etag: facts?.etag ?? '' })).rejects.toMatchObject({
      code: Code.ABORTED,
      message: 'Read an object: it was replaced meanwhile',
    });
  });

  it('passes on what its source throws, whole or in parts, and leaves no object', async () => {
    for (const sizeBytes of [1000, 70 * MIB]) {
      const source: ObjectSource = {
        sizeBytes,
        async *read() {
          yield sampleBytes(500);
          throw cancelled('the sender went home');
        },
      };
      await expect(store.put('broken', source)).rejects.toMatchObject({
        code: Code.CANCELLED,
        message: 'the sender went home',
      });
      // The server may keep what came of a whole one; its size gives it away.
      expect((await store.head('broken'))?.sizeBytes).not.toBe(sizeBytes);
    }
  });

  it('says that it is refused, by the bucket or by the credentials, and repeats no secret', async () => {
    await using elsewhere = open(server.port, { bucket: 'no-such-bucket' });
    await expect(elsewhere.get('a')).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: 'Read an object: the object store refuses us (NoSuchBucket, HTTP 404)',
    });
    process.env.AWS_SECRET_ACCESS_KEY = 'not-the-secret';
    try {
      await using stranger = open(server.port);
      const error = await stranger.get('a').catch((thrown) => thrown);
      expect(error).toMatchObject({
        code: Code.FAILED_PRECONDITION,
        message: 'Read an object: the object store refuses us (SignatureDoesNotMatch, HTTP 403)',
      });
      expect(JSON.stringify(error)).not.toContain('not-the-secret');
    } finally {
      Object.assign(process.env, Versitygw.environment);
    }
  });

  it('stops when its signal aborts, before an answer and in the middle of one', async () => {
    const refusal = { code: Code.CANCELLED, message: 'enough' };
    await store.put('long', sourceOf(sampleBytes(3 * MIB, 3)));
    const controller = new AbortController();
    const body = await store.get('long', { signal: controller.signal });
    await expect(async () => {
      for await (const _chunk of body!.bytes) controller.abort(cancelled('enough'));
    }).rejects.toMatchObject(refusal);
    await expect(store.head('long', { signal: controller.signal })).rejects.toMatchObject(refusal);
    const source = sourceOf(sampleBytes(1000, 4));
    await expect(store.put('late', source, { signal: controller.signal })).rejects.toMatchObject(refusal);
  });

  it('does not wait longer than its time for a server that is frozen, asked or in mid-transfer', async () => {
    await using proxy = await TcpProxy.start(server.port);
    await using slow = open(proxy.port, { timeoutMs: FROZEN_MS });
    await slow.put('frozen', sourceOf(sampleBytes(LARGE, 5)));
    const body = await slow.get('frozen');
    server.pause();
    try {
      const stalled = collectBytes(body!.bytes, { bytesMax: LARGE, what: 'frozen' });
      await expect(stalled).rejects.toMatchObject({
        code: Code.UNAVAILABLE,
        message: `Read an object: no byte came for ${FROZEN_MS} ms`,
      });
      await expect(slow.head('frozen')).rejects.toMatchObject({
        code: Code.UNAVAILABLE,
        message: `Look for an object: no answer within ${FROZEN_MS} ms`,
      });
      await expect(slow.put('frozen-2', sourceOf(sampleBytes(LARGE, 6)))).rejects.toMatchObject({
        code: Code.UNAVAILABLE,
        message: `Write an object: it stood still for ${6 * FROZEN_MS} ms`,
      });
    } finally {
      server.resume();
    }
    expect((await read('frozen'))?.length).toBe(LARGE);
  });

  it('takes as long as bytes move, however slowly', async () => {
    await using proxy = await TcpProxy.start(server.port);
    await using slow = open(proxy.port, { timeoutMs: FROZEN_MS });
    const bytes = sampleBytes(MIB, 7);
    proxy.bytesPerSecond = MIB;
    const startedMs = performance.now();
    await slow.put('slow', sourceOf(bytes));
    expect((await read('slow', slow))?.equals(bytes)).toBe(true);
    expect(performance.now() - startedMs).toBeGreaterThan(2 * FROZEN_MS);
  });

  it('is UNAVAILABLE when the server is killed in mid-read, in mid-write, and while it is away', async () => {
    await using proxy = await TcpProxy.start(server.port);
    await using slow = open(proxy.port);
    await slow.put('killed', sourceOf(sampleBytes(8 * MIB, 8)));
    proxy.bytesPerSecond = 2 * MIB;
    const body = await slow.get('killed');
    const reading = collectBytes(body!.bytes, { bytesMax: 8 * MIB, what: 'killed' });
    reading.catch(() => undefined);
    const upBefore = proxy.bytesUp;
    const writing = slow.put('half', sourceOf(sampleBytes(8 * MIB, 9)));
    writing.catch(() => undefined);
    await waitUntil('a part of both to be over', () => proxy.bytesUp - upBefore > 500_000);
    await server.kill();
    const away = (attempt: string) => ({
      code: Code.UNAVAILABLE,
      message: `${attempt}: the object store cannot be reached`,
    });
    await expect(reading).rejects.toMatchObject(away('Read an object'));
    await expect(writing).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    await expect(store.head('killed')).rejects.toMatchObject(away('Look for an object'));
    await expect(store.put('x', sourceOf(Buffer.from('x')))).rejects.toMatchObject(away('Write an object'));
    await server.start();
    expect((await store.head('half'))?.sizeBytes).not.toBe(8 * MIB);
    expect((await read('killed'))?.length).toBe(8 * MIB);
  });

  it('tells the true size of an object that was cut short', async () => {
    await store.put('cut', sourceOf(sampleBytes(1000, 10)));
    await truncate(server.path('cut'), 400);
    expect((await store.head('cut'))?.sizeBytes).toBe(400);
    expect((await readFile(server.path('cut'))).length).toBe(400);
  });
});

describe('S3ObjectStore, against a server that fails', () => {
  it('is UNAVAILABLE and names the answer', async () => {
    Object.assign(process.env, Versitygw.environment);
    const server = createServer((request, response) => {
      request.resume();
      response.writeHead(503, { 'content-type': 'application/xml' });
      response.end('<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    await using store = new S3ObjectStore({
      bucket: 'farm',
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      pathStyle: true,
      timeoutMs: 5_000,
    });
    try {
      await expect(store.get('a')).rejects.toMatchObject({
        code: Code.UNAVAILABLE,
        message: 'Read an object: the object store answered SlowDown, HTTP 503',
      });
      const source = { sizeBytes: 3, read: () => bytesOf(Buffer.from('abc')) };
      await expect(store.put('a', source)).rejects.toMatchObject({
        code: Code.UNAVAILABLE,
        message: 'Write an object: the object store answered SlowDown, HTTP 503',
      });
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});
