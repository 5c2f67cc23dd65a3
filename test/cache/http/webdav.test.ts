import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampleBytes } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';

let server: Awaited<ReturnType<typeof openCacheServer>>;
let origin: string;

beforeAll(async () => {
  server = await openCacheServer({ blobBytesMax: 10_000_000 });
  const { port } = await server.listenHttp({ host: '127.0.0.1', port: 0 });
  origin = `http://127.0.0.1:${port}`;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function call(
  method: string,
  path: string,
  { body, headers = {} }: { body?: Uint8Array; headers?: Record<string, string> } = {},
) {
  const response = await fetch(origin + path, {
    method,
    headers,
    ...(body !== undefined && { body: Buffer.from(body) }),
  });
  return {
    status: response.status,
    headers: response.headers,
    bytes: Buffer.from(await response.arrayBuffer()),
  };
}

async function refused(method: string, path: string, options = {}): Promise<string> {
  const { status, bytes } = await call(method, path, options);
  return `${status} ${bytes}`;
}

describe('values below /webdav', () => {
  it.each([
    ['a small one', 1000],
    ['an empty one', 0],
    ['one that is not held in memory', 5_000_000],
  ])('stores and gives %s under any path', async (what, sizeBytes) => {
    const bytes = sampleBytes(sizeBytes, sizeBytes);
    const path = `/webdav/some/${encodeURIComponent(what)}/ü%25`;
    expect((await call('GET', path)).status).toBe(404);
    expect((await call('PUT', path, { body: bytes })).status).toBe(201);
    const seen = await call('GET', path);
    expect([seen.status, seen.bytes.equals(bytes)]).toEqual([200, true]);
    const head = await call('HEAD', path);
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(sizeBytes)]);
    expect((await call('GET', path, { headers: { range: 'bytes=1-2' } })).bytes).toEqual(
      sizeBytes > 0 ? bytes.subarray(1, 3) : Buffer.alloc(0),
    );
  });

  it('gives the newer value, and none that was deleted', async () => {
    expect((await call('PUT', '/webdav/n', { body: Buffer.from('1') })).status).toBe(201);
    expect((await call('PUT', '/webdav/n', { body: Buffer.from('2') })).status).toBe(204);
    expect(String((await call('GET', '/webdav/n')).bytes)).toBe('2');
    expect((await call('DELETE', '/webdav/n')).status).toBe(204);
    expect(await refused('GET', '/webdav/n')).toBe('404 NOT_FOUND: value n is not here\n');
    expect(await refused('DELETE', '/webdav/n')).toBe('404 NOT_FOUND: nothing is at "n"\n');
  });

  it('keeps instances apart, and takes names of segments that mean something elsewhere', async () => {
    const name = `ac/${'0'.repeat(64)}/webdav/cas`;
    await call('PUT', `/team/webdav/${name}`, { body: Buffer.from('theirs') });
    expect((await call('GET', `/webdav/${name}`)).status).toBe(404);
    expect((await call('GET', `/other/webdav/${name}`)).status).toBe(404);
    expect(String((await call('GET', `/team/webdav/${name}`)).bytes)).toBe('theirs');
  });

  it('refuses names that are none', async () => {
    const body = Buffer.from('x');
    expect(await refused('PUT', '/webdav/a//b', { body })).toBe(
      '400 INVALID_ARGUMENT: the path "a//b" has the segment ""\n',
    );
    expect(await refused('PUT', '/webdav/a/%00', { body })).toBe(
      '400 INVALID_ARGUMENT: the path "a/\\u0000" has the segment "\\u0000"\n',
    );
    expect(await refused('PUT', '/webdav/a%2F..%2Fb', { body })).toBe(
      '400 INVALID_ARGUMENT: the path "a/../b" has the segment ".."\n',
    );
    expect(await refused('PUT', '/webdav/a/', { body })).toBe(
      '400 INVALID_ARGUMENT: PUT "a/": that is the name of a folder\n',
    );
    expect((await call('PUT', `/webdav/${'a'.repeat(1024)}`, { body })).status).toBe(201);
    expect(await refused('PUT', `/webdav/${'a'.repeat(1025)}`, { body })).toBe(
      `400 INVALID_ARGUMENT: the path "${'a'.repeat(100)}"… (1025 characters) has more than 1024 bytes\n`,
    );
    expect((await call('PUT', '/webdav/big', { body: Buffer.alloc(10_000_001) })).status).toBe(413);
  });

  it('are read-only where the cache does not allow updates', async () => {
    await using closed = await openCacheServer({ actionCacheUpdates: false });
    const { port } = await closed.listenHttp({ host: '127.0.0.1', port: 0 });
    for (const method of ['PUT', 'DELETE']) {
      const response = await fetch(`http://127.0.0.1:${port}/webdav/a`, { method });
      expect(`${response.status} ${await response.text()}`).toBe(
        `403 PERMISSION_DENIED: ${method} below /webdav is not open to clients of this cache\n`,
      );
    }
  });
});

const propfind = (path: string, depth: string) => call('PROPFIND', path, { headers: { depth } });

/** What a listing names, with sizes. */
function resources(xml: Buffer): string[] {
  return [...String(xml).matchAll(/<D:response>(.*)<\/D:response>/g)].map(([, response = '']) => {
    const [, href] = /<D:href>(.*)<\/D:href>/.exec(response) ?? [];
    const [, size] = /<D:getcontentlength>(\d+)</.exec(response) ?? [];
    return size === undefined ? `${href}` : `${href} ${size}`;
  });
}

describe('folders below /webdav', () => {
  beforeAll(async () => {
    for (const name of ['f/a', 'f/b&c', 'f/g/x']) {
      await call('PUT', `/x%20y/webdav/${encodeURIComponent(name)}`, { body: Buffer.from(name) });
    }
  });

  it('are listed by PROPFIND, one level deep', async () => {
    const { status, headers, bytes } = await propfind('/x%20y/webdav/f', '1');
    expect([status, headers.get('content-type')]).toEqual([207, 'application/xml; charset=utf-8']);
    expect(resources(bytes)).toEqual([
      '/x%20y/webdav/f/',
      '/x%20y/webdav/f/a 3',
      '/x%20y/webdav/f/b%26c 5',
      '/x%20y/webdav/f/g/',
    ]);
    expect(String(bytes)).toContain('<D:resourcetype><D:collection/></D:resourcetype>');
    expect(resources((await propfind('/x%20y/webdav/f/', '0')).bytes)).toEqual(['/x%20y/webdav/f/']);
    expect(resources((await propfind('/x%20y/webdav/f/a', '1')).bytes)).toEqual(['/x%20y/webdav/f/a 3']);
    expect(resources((await propfind('/x%20y/webdav', '1')).bytes)).toEqual([
      '/x%20y/webdav/',
      '/x%20y/webdav/f/',
    ]);
  });

  it('are not listed as a whole tree', async () => {
    expect((await propfind('/webdav/', 'infinity')).status).toBe(403);
    const { status, bytes } = await call('PROPFIND', '/webdav/');
    expect([status, String(bytes)]).toEqual([403, expect.stringContaining('<D:propfind-finite-depth/>')]);
    expect(await refused('PROPFIND', '/webdav/', { headers: { depth: '2' } })).toBe(
      '400 INVALID_ARGUMENT: depth "2" is not 0 or 1\n',
    );
    expect(await refused('PROPFIND', '/webdav/not/here', { headers: { depth: '1' } })).toBe(
      '404 NOT_FOUND: nothing is at "not/here"\n',
    );
  });

  it('are cut in a listing, which says so, when they hold very much', async () => {
    const puts = Array.from({ length: 1001 }, (_, index) =>
      call('PUT', `/many/webdav/${String(index).padStart(4, '0')}`, { body: Buffer.from('x') }),
    );
    await Promise.all(puts);
    const { bytes } = await propfind('/many/webdav/', '1');
    expect(resources(bytes)).toHaveLength(1 + 1000 + 1);
    expect(String(bytes)).toContain('<D:href>/many/webdav/</D:href><D:status>HTTP/1.1 507');
    await call('DELETE', '/many/webdav/1000');
    expect(resources((await propfind('/many/webdav/', '1')).bytes)).toHaveLength(1 + 1000);
  });

  it('need not be made', async () => {
    expect((await call('MKCOL', '/webdav/new/')).status).toBe(201);
    const { status, headers } = await call('OPTIONS', '/webdav/');
    expect([status, headers.get('dav')]).toEqual([200, '1']);
    expect(headers.get('allow')).toBe('OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, MKCOL');
  });
});

it('has its methods below /webdav only', async () => {
  const path = `/cas/${'0'.repeat(64)}`;
  for (const method of ['DELETE', 'PROPFIND', 'MKCOL', 'OPTIONS']) {
    expect(await refused(method, path)).toBe(
      `404 NOT_FOUND: ${method} is not for ${path}: only for what is below /webdav\n`,
    );
  }
});
