import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { BytesValue, StringValue } from '../../../proto/gen/google/protobuf/wrappers.ts';
import { RawClient, wireMessage } from '../../setup/raw-grpc.ts';
import { type EchoHandlers, startEcho } from '../../setup/rpc.ts';

const UNARY = '/ingot.test.Echo/Unary';
const UPLOAD = '/ingot.test.Echo/Upload';
const DOWNLOAD = '/ingot.test.Echo/Download';

const chunk = (bytes: number): Buffer =>
  wireMessage(Buffer.from(BytesValue.encode({ value: Buffer.alloc(bytes, 7) }).finish()));
const text = (value: string): Buffer => wireMessage(Buffer.from(StringValue.encode({ value }).finish()));

describe('RpcServer, flow control', () => {
  it('holds a client back whose handler does not read', async () => {
    const release = Promise.withResolvers<void>();
    let read = 0;
    await using echo = await startEcho({
      async upload(requests) {
        await release.promise;
        for await (const { value } of requests) read += value.length;
        return { value: String(read) };
      },
    });
    using client = new RawClient(echo.port);
    const call = client.open(UPLOAD);
    const size = 64 * 1024;
    const count = 256;
    for (let sent = 0; sent < count; sent++) call.stream.write(chunk(size));
    call.stream.end();
    // The stream's window is 64 KiB: of 16 MiB, most stay with the client until the handler reads.
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(call.stream.writableLength).toBeGreaterThan(size * (count - 4));
    release.resolve();
    expect(await call.answer).toMatchObject({ grpcStatus: '0' });
    expect(read).toBe(size * count);
  });

  it('does not take the whole of a message that its handler does not ask for yet', async () => {
    const release = Promise.withResolvers<void>();
    let read = 0;
    await using echo = await startEcho({
      async upload(requests) {
        for await (const { value } of requests) {
          read += value.length;
          await release.promise;
        }
        return { value: String(read) };
      },
    });
    using client = new RawClient(echo.port);
    const call = client.open(UPLOAD);
    const size = 3_900_000;
    call.stream.write(chunk(1000));
    call.stream.write(chunk(size));
    call.stream.end(chunk(size));
    await expect.poll(() => read).toBe(1000);
    await new Promise((resolve) => setTimeout(resolve, 150));
    // What is read ahead is less than the window.
    expect(call.stream.writableLength).toBeGreaterThan(2 * size - 300_000);
    release.resolve();
    expect(await call.answer).toMatchObject({ grpcStatus: '0', body: text(String(1000 + 2 * size)) });
  });

  it('counts what its handlers work on as held, until they are done', async () => {
    const release = Promise.withResolvers<void>();
    const unary: EchoHandlers['unary'] = async (request) => {
      if (request.value.length > 100) await release.promise;
      return request;
    };
    await using echo = await startEcho({ unary }, { bufferedBytesMax: 1000 });
    using client = new RawClient(echo.port);
    const ofLetters = (count: number) => text('x'.repeat(count));
    const first = client.call(UNARY, ofLetters(700));
    await expect
      .poll(async () => await client.call(UNARY, ofLetters(600)))
      .toMatchObject({
        grpcStatus: '8',
        message: 'Buffer a request: calls hold 708 bytes of messages, the limit is 1000',
      });
    expect(await client.call(UNARY, ofLetters(90))).toMatchObject({ grpcStatus: '0' });
    release.resolve();
    expect(await first).toMatchObject({ grpcStatus: '0' });
    expect(await client.call(UNARY, ofLetters(600))).toMatchObject({ grpcStatus: '0' });
  });

  it('counts a compressed request by what it becomes', async () => {
    await using echo = await startEcho({}, { bufferedBytesMax: 1000 });
    using client = new RawClient(echo.port);
    const letters = Buffer.from(StringValue.encode({ value: 'x'.repeat(2000) }).finish());
    const call = client.open(UNARY, { 'grpc-encoding': 'gzip' });
    call.stream.end(wireMessage(gzipSync(letters), 1));
    expect(await call.answer).toMatchObject({ grpcStatus: '8' });
  });

  it('ends a stream that it would have to pause without the memory for its window', async () => {
    await using echo = await startEcho(
      { upload: () => new Promise(() => undefined) },
      { readAheadBytes: 1000, firstWindowBytes: 100_000, bufferedBytesMax: 99_999 },
    );
    using client = new RawClient(echo.port);
    const call = client.open(UPLOAD);
    call.stream.write(chunk(2000));
    expect(await call.answer).toMatchObject({
      grpcStatus: '8',
      message: expect.stringMatching(
        /^Buffer a request: calls hold \d+ bytes of messages, the limit is 99999$/,
      ),
    });
  });

  it('takes no more than the first window of an upload that is not read, of however many', async () => {
    const release = Promise.withResolvers<void>();
    await using echo = await startEcho(
      {
        async upload(requests) {
          await release.promise;
          let bytes = 0;
          for await (const { value } of requests) bytes += value.length;
          return { value: String(bytes) };
        },
      },
      { firstWindowBytes: 70_000, wideStreamsMax: 2 },
    );
    using first = new RawClient(echo.port);
    using second = new RawClient(echo.port);
    const calls = [first, first, first, first, second, second].map((client) => client.open(UPLOAD));
    for (const { stream } of calls) {
      for (let sent = 0; sent < 10; sent++) stream.write(chunk(100_000));
      stream.end();
    }
    await new Promise((resolve) => setTimeout(resolve, 150));
    for (const { stream } of calls) expect(stream.writableLength).toBeGreaterThan(925_000);
    release.resolve();
    for (const { answer } of calls)
      expect(await answer).toMatchObject({ grpcStatus: '0', body: text('1000000') });
  });

  it('does not read more from a handler than a slow client takes', async () => {
    let produced = 0;
    await using echo = await startEcho({
      async *download() {
        for (let sent = 0; sent < 256; sent++) {
          produced += 64 * 1024;
          yield { value: Buffer.alloc(64 * 1024) };
        }
      },
    });
    using client = new RawClient(echo.port);
    const call = client.open(DOWNLOAD);
    call.stream.end(text('x'));
    await once(call.stream, 'data');
    call.stream.pause();
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(produced).toBeLessThan(2 * 1024 * 1024);
    call.stream.resume();
    const { body, grpcStatus } = await call.answer;
    expect(grpcStatus).toBe('0');
    expect(body.length).toBeGreaterThan(256 * 64 * 1024);
  });

  it('answers before the upload is over, and tells the client to stop without an error', async () => {
    await using echo = await startEcho({
      async upload(requests) {
        for await (const _ of requests) return { value: 'enough' };
        return { value: 'nothing' };
      },
    });
    using client = new RawClient(echo.port);
    const call = client.open(UPLOAD);
    const keepSending = setInterval(() => call.stream.writable && call.stream.write(chunk(1000)), 1);
    const answer = await call.answer;
    clearInterval(keepSending);
    expect(answer).toMatchObject({ grpcStatus: '0', trailersOnly: false, body: text('enough'), rstCode: 0 });
  });

  it('survives more than a thousand early answers on one connection', async () => {
    await using echo = await startEcho({ upload: async () => ({ value: 'enough' }) });
    using client = new RawClient(echo.port);
    const answers = new Map<string, number>();
    for (let round = 0; round < 12; round++) {
      const calls = Array.from({ length: 100 }, () => {
        const call = client.open(UPLOAD);
        call.stream.write(chunk(100));
        return call;
      });
      for (const { grpcStatus = 'none' } of await Promise.all(calls.map(({ answer }) => answer))) {
        answers.set(grpcStatus, (answers.get(grpcStatus) ?? 0) + 1);
      }
    }
    expect([...answers]).toEqual([['0', 1200]]);
  });
});
