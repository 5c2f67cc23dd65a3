import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../core/log/logger.ts';
import { RpcChannel } from '../../../core/rpc/rpc-channel.ts';
import { RpcServer } from '../../../core/rpc/rpc-server.ts';
import { StringValue } from '../../../proto/gen/google/protobuf/wrappers.ts';
import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../../proto/gen/grpc/health/v1/health.ts';
import { RawFrames } from '../../setup/raw-frames.ts';
import { RawClient, wireMessage } from '../../setup/raw-grpc.ts';
import { EchoDefinition, startEcho } from '../../setup/rpc.ts';

const UNARY = '/ingot.test.Echo/Unary';
const UPLOAD = '/ingot.test.Echo/Upload';
const text = (value: string): Buffer => wireMessage(Buffer.from(StringValue.encode({ value }).finish()));

describe('RpcServer, closing', () => {
  it('lets running calls finish, and takes no new ones', async () => {
    const begun = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    await using echo = await startEcho({
      async unary(request) {
        begun.resolve();
        await release.promise;
        return request;
      },
    });
    const client = echo.channel.client(EchoDefinition);
    const running = client.unary({ value: 'last' });
    await begun.promise;
    const closing = echo.server.close({ graceMs: 5000 });
    await using late = new RpcChannel({ address: echo.address });
    await expect(
      late.client(EchoDefinition).unary({ value: 'late' }, { retry: false }),
    ).rejects.toMatchObject({
      code: 14,
      message: `Call ${UNARY} at ${echo.address}: connect ECONNREFUSED ${echo.address}`,
    });
    release.resolve();
    expect(await running).toEqual({ value: 'last' });
    await closing;
  });

  it('ends calls that outlive the grace with UNAVAILABLE and when to try again', async () => {
    const reasons: unknown[] = [];
    const begun = Promise.withResolvers<void>();
    await using echo = await startEcho({
      async unary(request, { signal }) {
        begun.resolve();
        await once(signal, 'abort');
        reasons.push(signal.reason);
        return request;
      },
    });
    using client = new RawClient(echo.port);
    const call = client.call(UNARY, text('x'));
    await begun.promise;
    const startMs = performance.now();
    await echo.server.close({ graceMs: 50 });
    expect(performance.now() - startMs).toBeGreaterThan(45);
    expect(performance.now() - startMs).toBeLessThan(400);
    expect(await call).toMatchObject({ grpcStatus: '14', message: 'the server is shutting down' });
    expect((await call).details?.details[0]?.typeUrl).toBe('type.googleapis.com/google.rpc.RetryInfo');
    expect(reasons).toMatchObject([{ code: 14, message: 'the server is shutting down' }]);
  });

  it('closes at once when nothing runs, though connections are open', async () => {
    await using echo = await startEcho();
    expect(await echo.channel.client(EchoDefinition).unary({ value: 'x' })).toEqual({ value: 'x' });
    using frames = await RawFrames.connect(echo.port);
    const startMs = performance.now();
    await echo.server.close({ graceMs: 5000 });
    expect(performance.now() - startMs).toBeLessThan(400);
    await frames.closed();
  });

  it('does not wait for a handler that hears nothing', async () => {
    const begun = Promise.withResolvers<void>();
    await using echo = await startEcho({
      unary: () => {
        begun.resolve();
        return new Promise(() => undefined);
      },
    });
    using client = new RawClient(echo.port);
    const call = client.call(UNARY, text('x'));
    await begun.promise;
    const startMs = performance.now();
    await echo.server.close({ graceMs: 0 });
    expect(performance.now() - startMs).toBeLessThan(1500);
    expect(await call).toMatchObject({ grpcStatus: '14' });
  });

  it('tells health checks that it does not serve, and sends watchers away', async () => {
    await using echo = await startEcho();
    await using other = new RpcChannel({ address: echo.address });
    const seen: unknown[] = [];
    const watching = (async () => {
      for await (const { status } of other.client(HealthDefinition).watch({ service: '' })) seen.push(status);
    })();
    await expect.poll(() => seen).toEqual([ServingStatus.SERVING]);
    const startMs = performance.now();
    const closing = echo.server.close({ graceMs: 5000 });
    await expect(watching).rejects.toMatchObject({ code: 14 });
    expect(seen).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
    await closing;
    expect(performance.now() - startMs).toBeLessThan(1000);
  });

  it('can be closed before it listens, and twice', async () => {
    await using unused = new RpcServer({ logger: silentLogger });
    await unused.close({ graceMs: 1000 });
    await using echo = await startEcho();
    const first = echo.server.close({ graceMs: 0 });
    expect(echo.server.close({ graceMs: 0 })).toBe(first);
    await first;
  });
});

describe('RpcServer, connections', () => {
  const keepalive = { keepaliveIdleMs: 60, keepaliveTimeoutMs: 60 };

  it('drops one that does not answer pings, and cancels its calls', async () => {
    const over = Promise.withResolvers<unknown>();
    await using echo = await startEcho(
      {
        async upload(_requests, { signal }) {
          await once(signal, 'abort');
          over.resolve(signal.reason);
          return { value: '' };
        },
      },
      keepalive,
    );
    using frames = await RawFrames.connect(echo.port);
    frames.open(UPLOAD);
    const startMs = performance.now();
    expect(await over.promise).toMatchObject({
      code: 1,
      message: `Call ${UPLOAD}: the connection to the client is lost`,
    });
    expect(performance.now() - startMs).toBeGreaterThan(100);
    await frames.closed();
    expect(echo.log).toMatchObject([
      { level: 'warn', message: 'dropped a connection that does not answer', silentMs: expect.any(Number) },
    ]);
  });

  it('drops one whose process is stopped', async () => {
    const begun = Promise.withResolvers<void>();
    const over = Promise.withResolvers<unknown>();
    await using echo = await startEcho(
      {
        async upload(requests) {
          try {
            for await (const _ of requests) begun.resolve();
          } catch (error) {
            over.resolve(error);
          }
          return { value: '' };
        },
      },
      keepalive,
    );
    const child = fork(`${import.meta.dirname}/../../setup/endless-upload.ts`, [echo.address]);
    await begun.promise;
    child.kill('SIGSTOP');
    expect(await over.promise).toMatchObject({
      code: 1,
      message: `Call ${UPLOAD}: the connection to the client is lost`,
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  it('drops one that never speaks HTTP/2', async () => {
    await using echo = await startEcho({}, keepalive);
    const socket = connect({ host: '127.0.0.1', port: echo.port }).resume();
    await once(socket, 'close');
  });

  it('drops one that speaks HTTP/1', async () => {
    await using echo = await startEcho();
    const socket = connect({ host: '127.0.0.1', port: echo.port }).resume();
    socket.on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(socket, 'close');
  });

  it('keeps one that answers pings, however long a call is silent', async () => {
    await using echo = await startEcho(
      {
        async unary(request) {
          await new Promise((resolve) => setTimeout(resolve, 600));
          return request;
        },
      },
      { keepaliveIdleMs: 40, keepaliveTimeoutMs: 300 },
    );
    expect(await echo.channel.client(EchoDefinition).unary({ value: 'slow' })).toEqual({ value: 'slow' });
    expect(echo.log).toEqual([]);
  });

  it('has no more of them than its limit', async () => {
    await using echo = await startEcho({}, { sessionsMax: 1 });
    using first = new RawClient(echo.port);
    expect(await first.call(UNARY, text('x'))).toMatchObject({ grpcStatus: '0' });
    using second = new RawClient(echo.port);
    await once(second.session, 'close');
    expect(await first.call(UNARY, text('x'))).toMatchObject({ grpcStatus: '0' });
  });

  it('has no more calls on one than its limit', async () => {
    const release = Promise.withResolvers<void>();
    let running = 0;
    let most = 0;
    await using echo = await startEcho(
      {
        async unary(request) {
          most = Math.max(most, ++running);
          await release.promise;
          running--;
          return request;
        },
      },
      { streamsPerSessionMax: 3 },
    );
    const client = echo.channel.client(EchoDefinition);
    const calls = Promise.all(Array.from({ length: 10 }, () => client.unary({ value: 'x' })));
    await expect.poll(() => most).toBe(3);
    await new Promise((resolve) => setTimeout(resolve, 50));
    release.resolve();
    expect(await calls).toHaveLength(10);
    expect(most).toBe(3);
  });

  it('refuses headers over its limit', async () => {
    await using echo = await startEcho({}, { headerBytesMax: 2000 });
    using client = new RawClient(echo.port);
    expect(await client.call(UNARY, text('x'))).toMatchObject({ grpcStatus: '0' });
    const answer = await client.call(UNARY, text('x'), { 'x-large': 'x'.repeat(3000) });
    expect(answer).toMatchObject({ grpcStatus: undefined, rstCode: 11 });
    expect(await client.call(UNARY, text('x'))).toMatchObject({ grpcStatus: '0' });
  });
});
