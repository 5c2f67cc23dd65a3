import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BytesValue, StringValue } from '../../proto/gen/google/protobuf/wrappers.ts';
import { RawClient, wireMessage } from '../setup/raw-grpc.ts';

const MIB = 2 ** 20;
const DOWNLOAD = '/ingot.test.Echo/Download';
const UPLOAD = '/ingot.test.Echo/Upload';
const text = (value: string): Buffer => wireMessage(Buffer.from(StringValue.encode({ value }).finish()));

let server: ChildProcess;
let port: number;

beforeEach(async () => {
  server = fork(`${import.meta.dirname}/../setup/download-server.ts`);
  [{ port }] = await once(server, 'message');
});

afterEach(async () => {
  server.kill('SIGKILL');
  if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
});

async function rssBytes(): Promise<number> {
  server.send('rss');
  const [answer] = await once(server, 'message');
  return answer.rssBytes;
}

/** Makes the server warm, so that what it grows by is what the test makes it hold. */
async function warmUp(): Promise<number> {
  using client = new RawClient(port);
  for (let round = 0; round < 4; round++) await client.call(DOWNLOAD, text('64'));
  return await rssBytes();
}

/** The most the server grows by while this long passes. */
async function growthDuring(ms: number, beforeBytes: number): Promise<number> {
  let most = 0;
  for (const endMs = performance.now() + ms; performance.now() < endMs; ) {
    most = Math.max(most, (await rssBytes()) - beforeBytes);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return most;
}

describe('the memory of an RpcServer', () => {
  it('stays flat while 50 clients read 1 GiB each at 1 KiB/s', async () => {
    const beforeBytes = await warmUp();
    const clients = Array.from({ length: 50 }, () => new RawClient(port));
    const timers = clients.map((client) => {
      const { stream } = client.open(DOWNLOAD);
      stream.end(text('1024'));
      stream.pause();
      return setInterval(() => stream.read(1024), 1000);
    });
    expect(await growthDuring(3000, beforeBytes)).toBeLessThan(64 * MIB);
    for (const timer of timers) clearInterval(timer);
    for (const client of clients) client[Symbol.dispose]();
  });

  it('stays flat while 50 clients do not read their sockets at all', async () => {
    const beforeBytes = await warmUp();
    const clients = Array.from({ length: 50 }, () => new RawClient(port));
    await Promise.all(
      clients.map(async (client) => {
        const { stream } = client.open(DOWNLOAD);
        stream.end(text('1024'));
        await once(stream, 'response');
        // node:http2 owns the socket, and only this stops it from reading.
        (client.session.socket as unknown as { _handle: { readStop(): void } })._handle?.readStop();
      }),
    );
    expect(await growthDuring(2000, beforeBytes)).toBeLessThan(64 * MIB);
    for (const client of clients) client[Symbol.dispose]();
  });

  it('is bounded by the windows of the streams while handlers do not read 50 uploads', async () => {
    const beforeBytes = await warmUp();
    const chunk = wireMessage(Buffer.from(BytesValue.encode({ value: Buffer.alloc(64 * 1024) }).finish()));
    const clients = Array.from({ length: 50 }, () => new RawClient(port));
    for (const client of clients) {
      const { stream } = client.open(UPLOAD);
      for (let sent = 0; sent < 64; sent++) stream.write(chunk);
    }
    const growthBytes = await growthDuring(2000, beforeBytes);
    expect(growthBytes).toBeLessThan(50 * 1.6 * MIB);
    for (const client of clients) client[Symbol.dispose]();
  });
});
