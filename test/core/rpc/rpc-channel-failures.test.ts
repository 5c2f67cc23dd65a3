import { once } from 'node:events';
import { createServer, type Http2Server } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { failedPrecondition, unavailable } from '../../../core/error.ts';
import { retryInfo } from '../../../core/error-details.ts';
import { RpcChannel } from '../../../core/rpc/rpc-channel.ts';
import { wireMessage } from '../../setup/raw-grpc.ts';
import { EchoDefinition, type EchoHandlers, startEcho } from '../../setup/rpc.ts';

const UNARY = '/ingot.test.Echo/Unary';
const quick = { attemptsMax: 4, firstBackoffMs: 5, backoffMsMax: 20 };

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

describe('RpcChannel, flow control', () => {
  it('does not take more from its source than the server reads', async () => {
    const release = Promise.withResolvers<void>();
    let produced = 0;
    await using echo = await startEcho({
      async upload(requests) {
        await release.promise;
        let bytes = 0;
        for await (const { value } of requests) bytes += value.length;
        return { value: String(bytes) };
      },
    });
    async function* source() {
      for (let sent = 0; sent < 256; sent++) {
        produced += 64 * 1024;
        yield { value: Buffer.alloc(64 * 1024) };
      }
    }
    const uploading = echo.channel.client(EchoDefinition).upload(source());
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(produced).toBeLessThan(3 * 1024 * 1024);
    release.resolve();
    expect(await uploading).toEqual({ value: String(256 * 64 * 1024) });
  });

  it('does not let the server send more than its reader takes', async () => {
    let produced = 0;
    await using echo = await startEcho({
      async *download() {
        for (let sent = 0; sent < 1024; sent++) {
          produced += 64 * 1024;
          yield { value: Buffer.alloc(64 * 1024) };
        }
      },
    });
    let read = 0;
    for await (const { value } of echo.channel.client(EchoDefinition).download({ value: '' })) {
      if (read === 0) {
        await new Promise((resolve) => setTimeout(resolve, 150));
        // The window is 4 MiB.
        expect(produced).toBeLessThan(8 * 1024 * 1024);
      }
      read += value.length;
    }
    expect(read).toBe(1024 * 64 * 1024);
  });
});

describe('RpcChannel, a server that is away', () => {
  it('says which address it could not reach, and why', async () => {
    const listener = createTcpServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    listener.close();
    await using channel = new RpcChannel({ address: `127.0.0.1:${port}`, retry: quick });
    await expect(channel.client(EchoDefinition).unary({ value: '' })).rejects.toMatchObject({
      code: 14,
      message: `Call ${UNARY} at 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`,
    });
    await expect(collect(channel.client(EchoDefinition).download({ value: '' }))).rejects.toMatchObject({
      code: 14,
    });
  });

  it('finds a server that comes back at the same address', async () => {
    const first = await startEcho();
    await using channel = new RpcChannel({ address: first.address });
    const client = channel.client(EchoDefinition);
    expect(await client.unary({ value: '1' })).toEqual({ value: '1' });
    await first[Symbol.asyncDispose]();
    const calling = client.unary({ value: '2' }, { timeoutMs: 5000 });
    await new Promise((resolve) => setTimeout(resolve, 150));
    await using second = await startEcho({}, {}, first.port);
    expect(second.address).toBe(first.address);
    expect(await calling).toEqual({ value: '2' });
  });

  it('throws UNAVAILABLE when the connection breaks in the middle of a stream', async () => {
    const { server, port } = await brokenServer();
    await using channel = new RpcChannel({ address: `127.0.0.1:${port}` });
    const reading = channel.client(EchoDefinition).download({ value: '' })[Symbol.asyncIterator]();
    expect(await reading.next()).toMatchObject({ done: false });
    await expect(reading.next()).rejects.toMatchObject({
      code: 14,
      message: expect.stringContaining(`Call /ingot.test.Echo/Download at 127.0.0.1:${port}: `),
    });
    server.close();
  });

  it('retries unary calls after UNAVAILABLE until one succeeds', async () => {
    const { handlers, attempts } = failing(3, unavailable('not yet'));
    await using echo = await startEcho(handlers);
    await using channel = new RpcChannel({ address: echo.address, retry: quick });
    expect(await channel.client(EchoDefinition).unary({ value: 'x' })).toEqual({ value: 'x' });
    expect(attempts()).toBe(4);
  });

  it('gives the last error when all attempts fail', async () => {
    const { handlers, attempts } = failing(99, unavailable('never'));
    await using echo = await startEcho(handlers);
    await using channel = new RpcChannel({ address: echo.address, retry: quick });
    await expect(channel.client(EchoDefinition).unary({ value: 'x' })).rejects.toMatchObject({ code: 14 });
    expect(attempts()).toBe(4);
  });

  it('does not retry when told not to, nor after other codes, nor streams', async () => {
    for (const [error, options] of [
      [unavailable('no'), { retry: false }],
      [failedPrecondition('no'), {}],
    ] as const) {
      const { handlers, attempts } = failing(99, error);
      await using echo = await startEcho(handlers);
      await expect(echo.channel.client(EchoDefinition).unary({ value: 'x' }, options)).rejects.toMatchObject({
        code: error.code,
      });
      expect(attempts()).toBe(1);
      await expect(
        collect(echo.channel.client(EchoDefinition).download({ value: 'x' })),
      ).rejects.toMatchObject({
        code: error.code,
      });
      expect(attempts()).toBe(2);
    }
  });

  it('waits as long as the server asks, and gives up at once when that is past the timeout', async () => {
    const { handlers, attempts } = failing(1, unavailable('busy', { details: [retryInfo(200)] }));
    await using echo = await startEcho(handlers);
    await using channel = new RpcChannel({ address: echo.address, retry: quick });
    const client = channel.client(EchoDefinition);
    const startMs = performance.now();
    expect(await client.unary({ value: 'x' })).toEqual({ value: 'x' });
    expect(performance.now() - startMs).toBeGreaterThan(195);
    expect(attempts()).toBe(2);

    const patient = failing(1, unavailable('busy', { details: [retryInfo(60_000)] }));
    await using other = await startEcho(patient.handlers);
    await expect(
      other.channel.client(EchoDefinition).unary({ value: 'x' }, { timeoutMs: 1000 }),
    ).rejects.toMatchObject({ code: 14 });
    expect(patient.attempts()).toBe(1);
  });
});

/** Handlers that fail so many times, and then echo. */
function failing(times: number, error: Error): { handlers: EchoHandlers; attempts: () => number } {
  let attempts = 0;
  const attempt = (): void => {
    if (attempts++ < times) throw error;
  };
  return {
    attempts: () => attempts,
    handlers: {
      async unary(request) {
        attempt();
        return request;
      },
      async *download() {
        attempt();
        yield { value: Buffer.alloc(0) };
      },
    },
  };
}

/** A server that sends one message and dies. */
async function brokenServer(): Promise<{ server: Http2Server; port: number }> {
  const server = createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(
      Buffer.concat([wireMessage(Buffer.from([0x0a, 1, 1])), wireMessage(Buffer.alloc(100)).subarray(0, 50)]),
    );
    setTimeout(() => stream.session?.destroy(), 30);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}
