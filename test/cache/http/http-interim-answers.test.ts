import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';

let server: Awaited<ReturnType<typeof openCacheServer>>;
let port: number;

beforeAll(async () => {
  server = await openCacheServer({ blobBytesMax: 1000 });
  ({ port } = await server.listenHttp({ host: '127.0.0.1', port: 0 }));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** Sends a head, and the body once the server said something; gives what it said first, and after that. */
async function exchange(head: readonly string[], body: Uint8Array): Promise<[string, string]> {
  const socket = connect(port, '127.0.0.1');
  const answers = socket.iterator({ destroyOnReturn: true });
  const next = async () => String((await answers.next()).value ?? '');
  socket.write(`${head.join('\r\n')}\r\nHost: x\r\n\r\n`);
  const first = await next();
  socket.write(body);
  const second = first.startsWith('HTTP/1.1 100') ? await next() : '';
  socket.destroy();
  return [first, second];
}

const { bytes, digest } = sampleBlob(900, 90_001);
const another = sampleBlob(900, 90_002);
const put = (hash: string) => `PUT /cas/${hash} HTTP/1.1`;

describe('a client that waits for leave to send its body', () => {
  it('gets it once its head is found good, and the connection lives on', async () => {
    const head = [put(digest.hash), 'Content-Length: 900', 'Expect: 100-continue'];
    const [first, second] = await exchange(head, bytes);
    expect(first).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    expect(second).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(second).not.toMatch(/connection: close/i);
  });

  it('is refused before it sends anything, and the connection is closed', async () => {
    const head = [put(digest.hash), 'Content-Length: 1001', 'Expect: 100-continue'];
    const [first] = await exchange(head, bytes);
    expect(first).toMatch(/^HTTP\/1.1 413 /);
    expect(first).toMatch(/\r\nconnection: close\r\n/i);
  });
});

it('lets ccache, which sends its body when its head is acknowledged, not wait for that', async () => {
  const [first, second] = await exchange(
    [put(another.digest.hash), 'Content-Length: 900', 'User-Agent: ccache/4.7.5'],
    another.bytes,
  );
  expect(first).toBe('HTTP/1.1 100 Continue\r\n\r\n');
  expect(second).toMatch(/^HTTP\/1.1 200 OK\r\n/);
});
