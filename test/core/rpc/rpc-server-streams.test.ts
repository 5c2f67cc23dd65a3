import { fork } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { IngotError } from '../../../core/error.ts';
import { BytesValue, StringValue } from '../../../proto/gen/google/protobuf/wrappers.ts';
import { RawFrames } from '../../setup/raw-frames.ts';
import { RawClient, wireMessage } from '../../setup/raw-grpc.ts';
import { type EchoHandlers, startEcho } from '../../setup/rpc.ts';

const UNARY = '/ingot.test.Echo/Unary';
const UPLOAD = '/ingot.test.Echo/Upload';
const DOWNLOAD = '/ingot.test.Echo/Download';

const chunk = (bytes: number): Buffer =>
  wireMessage(Buffer.from(BytesValue.encode({ value: Buffer.alloc(bytes, 7) }).finish()));
const text = (value: string): Buffer => wireMessage(Buffer.from(StringValue.encode({ value }).finish()));

/** An upload handler that tells how its request stream ended. */
function observedUpload() {
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<{ readonly error: IngotError | undefined; readonly reason: unknown }>();
  const upload: EchoHandlers['upload'] = async (requests, { signal }) => {
    let error: unknown;
    try {
      for await (const _ of requests) started.resolve();
    } catch (caught) {
      error = caught;
    }
    ended.resolve({ error: error as IngotError | undefined, reason: signal.reason });
    return { value: 'done' };
  };
  return { upload, started: started.promise, ended: ended.promise };
}

const cancelledBecause = (what: string) => ({ code: 1, message: `Call ${UPLOAD}: ${what}` });

describe('RpcServer, a request stream that ends', () => {
  it('is done when the client said so', async () => {
    const { upload, ended } = observedUpload();
    await using echo = await startEcho({ upload });
    using client = new RawClient(echo.port);
    expect(await client.call(UPLOAD, Buffer.concat([chunk(3), chunk(3)]))).toMatchObject({ grpcStatus: '0' });
    expect(await ended).toEqual({ error: undefined, reason: undefined });
  });

  it.each([
    ['CANCEL', 8, 'the client cancelled it'],
    ['NO_ERROR, which Node reports as an end', 0, 'the client reset it with HTTP/2 code 0'],
    ['INTERNAL_ERROR', 2, 'the client reset it with HTTP/2 code 2'],
  ])('throws CANCELLED when the client resets it with %s', async (_, code, what) => {
    const { upload, started, ended } = observedUpload();
    await using echo = await startEcho({ upload });
    using client = await RawFrames.connect(echo.port);
    const call = client.open(UPLOAD);
    client.data(call, chunk(10));
    await started;
    client.reset(call, code);
    const { error, reason } = await ended;
    expect(error).toMatchObject(cancelledBecause(what));
    expect(reason).toBe(error);
  });

  it('throws CANCELLED when the connection is closed, be it in the middle of a message', async () => {
    for (const bytes of [chunk(10), Buffer.concat([chunk(10), chunk(1000).subarray(0, 500)])]) {
      const { upload, started, ended } = observedUpload();
      await using echo = await startEcho({ upload });
      using client = await RawFrames.connect(echo.port);
      client.data(client.open(UPLOAD), bytes);
      await started;
      client.socket.destroy();
      expect((await ended).error).toMatchObject(cancelledBecause('the connection to the client is lost'));
    }
  });

  it('throws CANCELLED when the connection is reset', async () => {
    const { upload, started, ended } = observedUpload();
    await using echo = await startEcho({ upload });
    using client = await RawFrames.connect(echo.port);
    client.data(client.open(UPLOAD), chunk(10));
    await started;
    client.socket.resetAndDestroy();
    expect((await ended).error).toMatchObject(cancelledBecause('the connection to the client is lost'));
  });

  it('throws CANCELLED when the client half-closes the connection, but not the stream', async () => {
    const { upload, started, ended } = observedUpload();
    await using echo = await startEcho({ upload });
    using client = await RawFrames.connect(echo.port);
    client.data(client.open(UPLOAD), chunk(10));
    await started;
    client.socket.end();
    expect((await ended).error).toMatchObject(cancelledBecause('the connection to the client is lost'));
  });

  it('throws CANCELLED when the client cancels it while it is paused and much is read ahead', async () => {
    const released = Promise.withResolvers<void>();
    const seen = Promise.withResolvers<AbortSignal>();
    const over = Promise.withResolvers<unknown>();
    await using echo = await startEcho({
      async upload(requests, { signal }) {
        seen.resolve(signal);
        await released.promise;
        try {
          for await (const _ of requests);
        } catch (error) {
          over.resolve(error);
        }
        return { value: '' };
      },
    });
    using client = await RawFrames.connect(echo.port);
    const call = client.open(UPLOAD);
    for (let sent = 0; sent < 4; sent++) client.data(call, chunk(16_000));
    const signal = await seen.promise;
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.reset(call, 0);
    await expect.poll(() => signal.aborted).toBe(true);
    released.resolve();
    expect(await over.promise).toMatchObject(cancelledBecause('the client reset it with HTTP/2 code 0'));
  });

  it('throws CANCELLED when the process of a grpc-js client is killed', async () => {
    const { upload, started, ended } = observedUpload();
    await using echo = await startEcho({ upload });
    const child = fork(`${import.meta.dirname}/../../setup/endless-upload.ts`, [echo.address]);
    await started;
    child.kill('SIGKILL');
    expect((await ended).error).toMatchObject(cancelledBecause('the connection to the client is lost'));
    await once(child, 'exit');
  });

  it('throws CANCELLED when a grpc-js client cancels, though Node sends an END_STREAM before its reset', async () => {
    for (let round = 0; round < 20; round++) {
      const { upload, started, ended } = observedUpload();
      await using echo = await startEcho({ upload });
      using client = new RawClient(echo.port);
      const call = client.open(UPLOAD);
      call.stream.write(chunk(10));
      await started;
      call.stream.close(8);
      expect((await ended).error).toMatchObject(cancelledBecause('the client cancelled it'));
    }
  });

  it('throws when the client ends it in the middle of a message', async () => {
    const { upload, started, ended } = observedUpload();
    await using echo = await startEcho({ upload });
    using client = new RawClient(echo.port);
    const call = client.open(UPLOAD);
    call.stream.write(chunk(10));
    await started;
    call.stream.end(chunk(100).subarray(0, 60));
    const expected = {
      code: 3,
      message: 'Read a gRPC message: the request ended 60 bytes into it, expected all of it',
    };
    expect((await ended).error).toMatchObject(expected);
    expect(await call.answer).toMatchObject({ grpcStatus: '3', message: expected.message });
  });

  it('throws DEADLINE_EXCEEDED when the time is over, and the client hears of it', async () => {
    const { upload, ended } = observedUpload();
    await using echo = await startEcho({ upload });
    using client = new RawClient(echo.port);
    const call = client.open(UPLOAD, { 'grpc-timeout': '50m' });
    call.stream.write(chunk(10));
    const expected = { code: 4, message: `Call ${UPLOAD}: not finished within the 50 ms the client gave it` };
    expect((await ended).error).toMatchObject(expected);
    expect(await call.answer).toMatchObject({ grpcStatus: '4', message: expected.message, rstCode: 0 });
  });

  it('does not give out messages that were read ahead of a client that vanished', async () => {
    const seen: number[] = [];
    const first = Promise.withResolvers<void>();
    const vanished = Promise.withResolvers<void>();
    const over = Promise.withResolvers<unknown>();
    await using echo = await startEcho({
      async upload(requests, { signal }) {
        signal.addEventListener('abort', () => vanished.resolve());
        try {
          for await (const { value } of requests) {
            seen.push(value.length);
            first.resolve();
            await vanished.promise;
          }
        } catch (error) {
          over.resolve(error);
        }
        return { value: '' };
      },
    });
    using client = await RawFrames.connect(echo.port);
    const call = client.open(UPLOAD);
    client.data(call, Buffer.concat([chunk(1), chunk(2), chunk(3)]));
    await first.promise;
    client.reset(call, 8);
    expect(await over.promise).toMatchObject(cancelledBecause('the client cancelled it'));
    expect(seen).toEqual([1]);
  });
});

describe('RpcServer, a call whose client is gone', () => {
  it('aborts the signal of a unary call, and forgets what its handler returns', async () => {
    const aborted = Promise.withResolvers<unknown>();
    const begun = Promise.withResolvers<void>();
    await using echo = await startEcho({
      async unary(request, { signal }) {
        begun.resolve();
        await once(signal, 'abort');
        aborted.resolve(signal.reason);
        return request;
      },
    });
    using client = new RawClient(echo.port);
    const call = client.open(UNARY);
    call.stream.end(text('x'));
    await begun.promise;
    call.stream.close(8);
    expect(await aborted.promise).toMatchObject({
      code: 1,
      message: `Call ${UNARY}: the client cancelled it`,
    });
    expect(echo.log).toEqual([]);
  });

  it('stops a generator, whose finally runs', async () => {
    const stopped = Promise.withResolvers<void>();
    await using echo = await startEcho({
      async *download() {
        try {
          for (;;) yield { value: Buffer.alloc(1000) };
        } finally {
          stopped.resolve();
        }
      },
    });
    using client = new RawClient(echo.port);
    const call = client.open(DOWNLOAD);
    call.stream.end(text('x'));
    await once(call.stream, 'data');
    call.stream.close(8);
    await stopped.promise;
  });

  it('does not start a unary handler', async () => {
    let started = false;
    await using echo = await startEcho({
      async unary(request) {
        started = true;
        return request;
      },
    });
    using frames = await RawFrames.connect(echo.port);
    using client = new RawClient(echo.port);
    const call = frames.open(UNARY);
    frames.data(call, text('x'));
    frames.reset(call, 0);
    expect(await client.call(DOWNLOAD, text('y'))).toMatchObject({ grpcStatus: '0' });
    expect(started).toBe(false);
  });

  it('logs what a handler throws afterwards, unless it is an IngotError', async () => {
    const begun = Promise.withResolvers<void>();
    await using echo = await startEcho({
      async unary(_request, { signal }) {
        begun.resolve();
        await once(signal, 'abort');
        throw new RangeError('too late');
      },
    });
    using client = new RawClient(echo.port);
    const call = client.open(UNARY);
    call.stream.end(text('x'));
    await begun.promise;
    call.stream.close(8);
    await expect
      .poll(() => echo.log)
      .toMatchObject([{ message: 'a handler failed', error: { message: 'too late' } }]);
  });

  it('times out a unary handler that does not listen', async () => {
    await using echo = await startEcho({ unary: () => new Promise(() => undefined) });
    using client = new RawClient(echo.port);
    expect(await client.call(UNARY, text('x'), { 'grpc-timeout': '30m' })).toMatchObject({
      grpcStatus: '4',
      message: `Call ${UNARY}: not finished within the 30 ms the client gave it`,
    });
  });
});
