import { once } from 'node:events';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ActionCacheDefinition,
  ActionResult,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { damageStoredBlob } from '../../setup/stored-blobs.ts';
import { inPieces, readAll, sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { store } from '../directories.ts';
import { actionKey, outputFiles, result } from '../results.ts';

let server: Awaited<ReturnType<typeof openCacheServer>>;
let base: string;
let seed = 40_000;

beforeAll(async () => {
  server = await openCacheServer({ blobBytesMax: 10_000_000, recentBlobBytes: 0 });
  const { port } = await server.listenHttp({ host: '127.0.0.1', port: 0 });
  base = `http://127.0.0.1:${port}`;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function fresh(sizeBytes: number) {
  seed += 1;
  return sampleBlob(sizeBytes, seed);
}

async function put(path: string, body: Uint8Array): Promise<{ status: number; text: string }> {
  const response = await fetch(base + path, { method: 'PUT', body: Buffer.from(body) });
  return { status: response.status, text: await response.text() };
}

async function putChunked(path: string, body: Uint8Array): Promise<number> {
  const stream = ReadableStream.from(inPieces(body));
  const response = await fetch(base + path, { method: 'PUT', body: stream, duplex: 'half' } as RequestInit);
  return response.status;
}

async function get(path: string): Promise<Buffer | number> {
  const response = await fetch(base + path);
  const body = Buffer.from(await response.arrayBuffer());
  return response.status === 200 ? body : response.status;
}

describe('/cas', () => {
  for (const sizeBytes of [0, 1, 1000, 3_000_000]) {
    it(`stores and gives a blob of ${sizeBytes} bytes`, async () => {
      const { bytes, digest } = fresh(sizeBytes);
      const path = `/cas/${digest.hash}`;
      if (sizeBytes > 0) expect(await get(path)).toBe(404);
      expect((await put(path, bytes)).status).toBe(200);
      expect((await readAll(server.blobStore, digest))?.equals(bytes)).toBe(true);
      const response = await fetch(base + path);
      expect(response.headers.get('content-length')).toBe(String(sizeBytes));
      expect(response.headers.get('content-type')).toBe('application/octet-stream');
      expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
      const head = await fetch(base + path, { method: 'HEAD' });
      expect([head.status, head.headers.get('content-length')]).toEqual([200, String(sizeBytes)]);
      expect((await put(path, bytes)).status).toBe(200);
    });
  }

  it('takes a body whose length is not said', async () => {
    const { bytes, digest } = fresh(500_000);
    expect(await putChunked(`/cas/${digest.hash}`, bytes)).toBe(200);
    expect((await readAll(server.blobStore, digest))?.equals(bytes)).toBe(true);
  });

  it('answers below an instance name', async () => {
    const { bytes, digest } = fresh(100);
    expect((await put(`/team/a%20b/cas/${digest.hash}`, bytes)).status).toBe(200);
    expect(await get(`/team/a%20b/cas/${digest.hash}`)).toEqual(bytes);
  });

  it('refuses bytes that are not those of the name, and keeps nothing', async () => {
    const { bytes, digest } = fresh(1000);
    const other = fresh(1000);
    expect(await put(`/cas/${digest.hash}`, other.bytes)).toEqual({
      status: 400,
      text: `INVALID_ARGUMENT: Write ${digest}: the bytes that arrived are ${other.digest}\n`,
    });
    expect(await putChunked(`/cas/${digest.hash}`, other.bytes)).toBe(400);
    expect((await put(`/cas/${digest.hash}`, Buffer.alloc(0))).status).toBe(400);
    expect(await get(`/cas/${digest.hash}`)).toBe(404);
    expect((await fetch(`${base}/cas/${digest.hash}`, { method: 'HEAD' })).status).toBe(404);
    expect((await put(`/cas/${digest.hash}`, bytes)).status).toBe(200);
  });

  it('refuses a blob over the limit', async () => {
    const { bytes, digest } = fresh(10_000_001);
    expect(await put(`/cas/${digest.hash}`, bytes)).toEqual({
      status: 413,
      text: 'at most 10000000 bytes are accepted\n',
    });
    expect(await putChunked(`/cas/${digest.hash}`, bytes)).toBe(413);
    expect(await get(`/cas/${digest.hash}`)).toBe(404);
  });

  it('refuses names that are none, and bodies compressed in another way than zstd', async () => {
    const { bytes, digest } = fresh(10);
    expect(await get(`/cas/${digest.hash.toUpperCase()}`)).toBe(400);
    expect(await get('/cas/abc')).toBe(400);
    expect(await get(`/cas/../cas/${digest.hash}/x`)).toBe(404);
    expect(await get(`/blobs/cas/${digest.hash}`)).toBe(400);
    expect(await get(`/%zz/cas/${digest.hash}`)).toBe(400);
    expect(await get('/nothing')).toBe(404);
    const response = await fetch(`${base}/cas/${digest.hash}`, {
      method: 'PUT',
      body: Buffer.from(bytes),
      headers: { 'content-encoding': 'br' },
    });
    expect([response.status, await response.text()]).toEqual([415, 'content-encoding br is not supported\n']);
    expect((await fetch(`${base}/cas/${digest.hash}`, { method: 'DELETE' })).status).toBe(404);
  });

  it.each(['', 'nonsense', 'text/plain; charset', 'application/x-www-form-urlencoded'])(
    'does not mind a content type of %j',
    async (type) => {
      const { bytes, digest } = fresh(10);
      const path = `${base}/cas/${digest.hash}`;
      const upload = request(path, { method: 'PUT', headers: { 'content-type': type } });
      upload.end(bytes);
      const [response] = (await once(upload, 'response')) as [IncomingMessage];
      expect(response.resume().statusCode).toBe(200);
    },
  );

  it('answers methods it does not know, whatever comes with them', async () => {
    for (const method of ['POST', 'PATCH', 'LOCK']) {
      expect((await fetch(`${base}/cas/x`, { method, body: 'x' })).status).toBe(404);
    }
    expect((await fetch(`${base}/cas/x`, { method: 'QUERY', body: 'x' })).status).toBe(400);
  });

  it('stores nothing of an upload that breaks off', async () => {
    const { bytes, digest } = fresh(1_000_000);
    const upload = request(`${base}/cas/${digest.hash}`, {
      method: 'PUT',
      headers: { 'content-length': bytes.length },
    });
    upload.on('error', () => undefined);
    upload.write(bytes.subarray(0, 500_000));
    await expect.poll(async () => (await incoming()).length).toBe(1);
    upload.destroy();
    await expect.poll(incoming).toEqual([]);
    expect(await server.blobStore.findMissing([digest])).toEqual([digest]);
  });

  it('breaks off the answer when a blob turns out to be damaged', async () => {
    const { bytes, digest } = fresh(1_000_000);
    await store(server.blobStore, bytes);
    const path = join(server.folder, 'cas-v1', 'sha256', digest.hash.slice(0, 2), digest.hash);
    const damaged = await readFile(path);
    damaged[999_999]! ^= 1;
    await chmod(path, 0o644);
    await writeFile(path, damaged);
    await expect(get(`/cas/${digest.hash}`)).rejects.toThrow();
    expect(await get(`/cas/${digest.hash}`)).toBe(404);
    expect(await (await fetch(`${base}/status`)).json()).toMatchObject({ store: { corruptBlobs: 1 } });
  });
});

async function incoming(): Promise<string[]> {
  return readdir(join(server.folder, 'incoming'));
}

describe('/ac', () => {
  it('stores an action result where gRPC clients find it, and the other way round', async () => {
    const blob = fresh(50).bytes;
    const output = await store(server.blobStore, blob);
    const { actionDigest } = actionKey(seed++);
    const filed = result({ outputFiles: outputFiles({ 'a.o': output }) });
    const bytes = Buffer.from(ActionResult.encode(filed).finish());
    expect(await get(`/ac/${actionDigest.hash}`)).toBe(404);
    expect((await put(`/ac/${actionDigest.hash}`, bytes)).status).toBe(200);
    expect(await get(`/ac/${actionDigest.hash}`)).toEqual(bytes);
    const head = await fetch(`${base}/ac/${actionDigest.hash}`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)]);
    expect(await server.actionCache.get({ instanceName: '', actionDigest })).toBeDefined();
    expect(await server.actionCache.get({ instanceName: 'other', actionDigest })).toBeUndefined();
    expect(await get(`/other/ac/${actionDigest.hash}`)).toBe(404);
    const key = actionKey(seed++, 'x');
    // Complete it is in an instance that has the blobs.
    await expect(server.actionCache.put(key, filed)).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
    });
    await store(server.blobStoreOf('x'), blob);
    await server.actionCache.put(key, filed);
    expect(await get(`/x/ac/${key.actionDigest.hash}`)).toEqual(bytes);
  });

  it('refuses an action result whose blobs are absent or which failed, and gives none whose blobs are gone', async () => {
    const { bytes, digest: output } = fresh(50);
    const { actionDigest } = actionKey(seed++);
    const encode = (parts: Partial<ActionResult>) =>
      ActionResult.encode(result({ outputFiles: outputFiles({ 'a.o': output }), ...parts })).finish();
    expect(await put(`/ac/${actionDigest.hash}`, encode({}))).toEqual({
      status: 409,
      text: `FAILED_PRECONDITION: Put result of action ${actionDigest.hash}/1: it names 1 absent blobs, among them ${output}\n`,
    });
    expect((await put(`/ac/${actionDigest.hash}`, encode({ exitCode: 2 }))).status).toBe(400);
    await store(server.blobStore, bytes);
    expect((await put(`/ac/${actionDigest.hash}`, encode({}))).status).toBe(200);
    await damageStoredBlob(server.folder, output);
    expect(await get(`/cas/${output.hash}`)).toBe(404);
    expect(await get(`/ac/${actionDigest.hash}`)).toBe(404);
    await store(server.blobStore, bytes);
    expect(await get(`/ac/${actionDigest.hash}`)).toBe(404);
  });

  for (const [what, value] of [
    ['a few bytes', Buffer.from('cCrS opaque')],
    ['bytes that could be an exit code', Buffer.from([0x20, 0x01])],
    ['nothing', Buffer.alloc(0)],
    ['more than any action result', sampleBlob(5_000_000, 7).bytes],
  ] as const) {
    it(`keeps ${what} as an opaque value that gRPC clients do not see`, async () => {
      const { actionDigest } = actionKey(seed++);
      expect((await put(`/ac/${actionDigest.hash}`, value)).status).toBe(200);
      const seen = await get(`/ac/${actionDigest.hash}`);
      expect(seen instanceof Buffer && seen.equals(value)).toBe(true);
      const head = await fetch(`${base}/ac/${actionDigest.hash}`, { method: 'HEAD' });
      expect([head.status, head.headers.get('content-length')]).toEqual([200, String(value.length)]);
      expect(await get(`/other/ac/${actionDigest.hash}`)).toBe(404);
      await expect(
        server.channel.client(ActionCacheDefinition).getActionResult({
          instanceName: '',
          actionDigest: actionDigest.toMessage(),
          digestFunction: 0,
          inlineStdout: false,
          inlineStderr: false,
          inlineOutputFiles: [],
        }),
      ).rejects.toMatchObject({ code: Code.NOT_FOUND });
    });
  }

  it('shows an action result as JSON to a client that accepts it', async () => {
    const output = await store(server.blobStore, fresh(50).bytes);
    const { actionDigest } = actionKey(seed++);
    const filed = result({ outputFiles: outputFiles({ 'a.o': output }) });
    await put(`/ac/${actionDigest.hash}`, ActionResult.encode(filed).finish());
    const response = await fetch(`${base}/ac/${actionDigest.hash}`, {
      headers: { accept: 'application/json' },
    });
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toEqual(ActionResult.toJSON(filed));
    await put(`/ac/${actionDigest.hash}`, Buffer.from('opaque'));
    const opaque = await fetch(`${base}/ac/${actionDigest.hash}`, {
      headers: { accept: 'application/json' },
    });
    expect(await opaque.text()).toBe('opaque');
  });

  it('takes opaque values of unknown length', async () => {
    const value = sampleBlob(5_000_000, 8).bytes;
    const { actionDigest } = actionKey(seed++);
    expect(await putChunked(`/ac/${actionDigest.hash}`, value)).toBe(200);
    const seen = await get(`/ac/${actionDigest.hash}`);
    expect(seen instanceof Buffer && seen.equals(value)).toBe(true);
  });

  it('gives the newer of a result and an opaque value', async () => {
    const { actionDigest } = actionKey(seed++);
    const path = `/ac/${actionDigest.hash}`;
    const output = await store(server.blobStore, fresh(50).bytes);
    const filed = Buffer.from(
      ActionResult.encode(result({ outputFiles: outputFiles({ 'a.o': output }) })).finish(),
    );
    for (const value of [Buffer.from('opaque'), filed, Buffer.from('opaque again')]) {
      expect((await put(path, value)).status).toBe(200);
      expect(await get(path)).toEqual(value);
    }
  });

  it('is read-only where the cache does not allow updates', async () => {
    await using closed = await openCacheServer({ actionCacheUpdates: false });
    const { port } = await closed.listenHttp({ host: '127.0.0.1', port: 0 });
    const response = await fetch(`http://127.0.0.1:${port}/ac/${fresh(1).digest.hash}`, {
      method: 'PUT',
      body: 'x',
    });
    expect([response.status, await response.text()]).toEqual([
      403,
      'PERMISSION_DENIED: PUT below /ac is not open to clients of this cache\n',
    ]);
  });
});

describe('/status and /healthz', () => {
  it('say how the cache is', async () => {
    expect(await (await fetch(`${base}/healthz`)).text()).toBe('ok\n');
    expect(await (await fetch(`${base}/status`)).json()).toMatchObject({
      uptimeSeconds: expect.any(Number),
      store: {
        corruptBlobs: expect.any(Number),
        storedBytes: expect.any(Number),
        limitBytes: expect.any(Number),
      },
      uploads: 0,
    });
  });
});
