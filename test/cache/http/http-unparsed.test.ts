import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

describe('a request that cannot be parsed', () => {
  it.each([
    ['a length below nothing', 'PUT /cas/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 400],
    ['a head without end', `GET /status HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(40_000)}`, 431],
  ])('is answered when its sender goes on sending: %s', async (_what, head, status) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.write(head);
    const answer: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => answer.push(chunk));
    await once(socket, 'data');
    // The refused client is still sending: none of this may reset the connection.
    for (let piece = 0; piece < 20; piece += 1) {
      socket.write(Buffer.alloc(100_000));
      await sleep(5);
    }
    socket.end();
    await once(socket, 'close');
    expect(Buffer.concat(answer).toString()).toMatch(
      new RegExp(`^HTTP/1.1 ${status} [^\\r]*\\r\\nconnection: close\\r\\n`),
    );
  });

  it('does not keep its connection for long', async () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).resume();
    socket.write('no HTTP\r\n\r\n');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    // It goes on until it is cut off, which it may see as an error.
    const sending = setInterval(() => socket.write('x'), 50);
    socket.on('error', () => undefined);
    await closed;
    clearInterval(sending);
  });
});
