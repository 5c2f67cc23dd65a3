import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { dataLoss, failedPrecondition, internal } from '../../../core/error.ts';
import { retryInfo } from '../../../core/error-details.ts';
import type { CallContext } from '../../../core/rpc/rpc-service.ts';
import { RequestMetadata } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { StringValue } from '../../../proto/gen/google/protobuf/wrappers.ts';
import { RawClient, wireMessage } from '../../setup/raw-grpc.ts';
import { type EchoHandlers, startEcho } from '../../setup/rpc.ts';

const UNARY = '/ingot.test.Echo/Unary';
const UPLOAD = '/ingot.test.Echo/Upload';
const DOWNLOAD = '/ingot.test.Echo/Download';

const hello = Buffer.from(StringValue.encode({ value: 'hello' }).finish());

/** The answer to one raw call of a server with these handlers. */
async function ask(
  path: string,
  body: Buffer,
  { handlers, headers }: { handlers?: EchoHandlers; headers?: Record<string, string> } = {},
) {
  await using echo = await startEcho(handlers, { messageBytesMax: 100_000 });
  using client = new RawClient(echo.port);
  return { ...(await client.call(path, body, headers)), log: [...echo.log] };
}

describe('RpcServer, answering', () => {
  it('sends headers, one framed message and OK in the trailers', async () => {
    const answer = await ask(UNARY, wireMessage(hello));
    expect(answer).toMatchObject({
      httpStatus: 200,
      grpcStatus: '0',
      trailersOnly: false,
      message: undefined,
    });
    expect(answer.headers['content-type']).toBe('application/grpc');
    expect(answer.body).toEqual(wireMessage(hello));
  });

  it('sends messages of every size whole', async () => {
    for (const length of [0, 1, 16_380, 16_384, 16_385, 99_000]) {
      const message = Buffer.from(StringValue.encode({ value: 'x'.repeat(length) }).finish());
      const answer = await ask(UNARY, wireMessage(message));
      expect(answer.body.equals(wireMessage(message))).toBe(true);
    }
  });

  it('sends an error before any message as trailers only, with its details', async () => {
    const answer = await ask(UNARY, wireMessage(hello), {
      handlers: {
        unary: async () => {
          throw failedPrecondition('größer: 100%', { details: [retryInfo(2500)] });
        },
      },
    });
    expect(answer).toMatchObject({
      httpStatus: 200,
      grpcStatus: '9',
      message: 'größer: 100%',
      trailersOnly: true,
    });
    expect(answer.details).toMatchObject({ code: 9, message: 'größer: 100%', details: [retryInfo(2500)] });
    expect(answer.log).toEqual([]);
  });

  it('sends an error after messages in the trailers', async () => {
    const answer = await ask(DOWNLOAD, wireMessage(hello), {
      handlers: {
        async *download() {
          yield { value: Buffer.from('a') };
          throw failedPrecondition('no more');
        },
      },
    });
    expect(answer).toMatchObject({ grpcStatus: '9', message: 'no more', trailersOnly: false });
    expect(answer.body).toEqual(wireMessage(Buffer.from([0x0a, 1, 0x61])));
  });

  it('hides what is no IngotError from the client, and logs it', async () => {
    const answer = await ask(UNARY, wireMessage(hello), {
      handlers: {
        unary: async () => {
          throw new TypeError('the secret');
        },
      },
    });
    expect(answer).toMatchObject({ grpcStatus: '13', message: 'internal error' });
    expect(answer.log).toMatchObject([
      { level: 'error', message: 'a handler failed', method: UNARY, error: { message: 'the secret' } },
    ]);
  });

  it('logs the causes of errors that are our fault, and not of others', async () => {
    for (const [fail, logged] of [
      [internal, [{ error: { message: 'broken', cause: { message: 'the disk' } } }]],
      [dataLoss, [{ error: { message: 'broken', cause: { message: 'the disk' } } }]],
      [failedPrecondition, []],
    ] as const) {
      const answer = await ask(UNARY, wireMessage(hello), {
        handlers: {
          unary: async () => {
            throw fail('broken', { cause: new Error('the disk') });
          },
        },
      });
      expect(answer.message).toBe('broken');
      expect(answer.log).toMatchObject(logged);
    }
  });

  it('hides a response that cannot be encoded from the client, and logs it', async () => {
    const unary = (async () => undefined) as unknown as EchoHandlers['unary'];
    const answer = await ask(UNARY, wireMessage(hello), { handlers: { unary } });
    expect(answer).toMatchObject({ grpcStatus: '13', message: 'internal error' });
    expect(answer.log).toMatchObject([{ message: 'a handler failed' }]);
  });
});

describe('RpcServer, refusing', () => {
  it.each([
    [
      '/ingot.test.Echo/Nothing',
      'Call /ingot.test.Echo/Nothing: service ingot.test.Echo has no such method here',
    ],
    ['/some.Service/Unary', 'Call /some.Service/Unary: this server has no such service'],
    ['/', 'Call /: this server has no such service'],
  ])('answers %s with UNIMPLEMENTED', async (path, message) => {
    expect(await ask(path, wireMessage(hello))).toMatchObject({
      grpcStatus: '12',
      message,
      trailersOnly: true,
    });
  });

  it.each(['application/json', 'application/grpc-web', 'application/grpc+json', 'text/application/grpc'])(
    'answers content type %s with HTTP 415',
    async (type) => {
      const answer = await ask(UNARY, wireMessage(hello), { headers: { 'content-type': type } });
      expect(answer).toMatchObject({ httpStatus: 415, grpcStatus: undefined });
    },
  );

  it.each(['application/grpc+proto', 'application/grpc;charset=utf-8', 'application/grpc'])(
    'accepts content type %s',
    async (type) => {
      expect(await ask(UNARY, wireMessage(hello), { headers: { 'content-type': type } })).toMatchObject({
        grpcStatus: '0',
      });
    },
  );

  it('answers a GET with HTTP 405', async () => {
    await using echo = await startEcho();
    using client = new RawClient(echo.port);
    const call = client.open(UNARY, { ':method': 'GET' });
    expect(await call.answer).toMatchObject({ httpStatus: 405 });
  });

  it.each([
    ['no message', Buffer.alloc(0), '12', `Call ${UNARY}: the request has no message, expected one`],
    [
      'two messages',
      Buffer.concat([wireMessage(hello), wireMessage(hello)]),
      '12',
      `Call ${UNARY}: the request has several messages, expected one`,
    ],
    [
      'half a message',
      wireMessage(hello).subarray(0, 8),
      '3',
      'Read a gRPC message: the request ended 8 bytes into it, expected all of it',
    ],
    [
      'bytes that are no message',
      wireMessage(Buffer.from([0x0a, 0x7f])),
      '3',
      `Call ${UNARY}: the 2 bytes of a request are not of its message type`,
    ],
    [
      'a string that is not UTF-8',
      wireMessage(Buffer.from([0x0a, 1, 0xff])),
      '3',
      `Call ${UNARY}: the 3 bytes of a request are not of its message type`,
    ],
    [
      'bytes after the message',
      wireMessage(Buffer.from([0x0a, 1, 0x61, 0, 5])),
      '3',
      `Call ${UNARY}: the 5 bytes of a request are not of its message type`,
    ],
    [
      'unknown flags',
      wireMessage(hello, 3),
      '13',
      'Read a gRPC message: its flags are 3, expected 0 or 1 (compressed)',
    ],
    [
      'a message over the limit',
      wireMessage(Buffer.alloc(100_001)),
      '8',
      'Read a gRPC message: it has 100001 bytes, the limit is 100000',
    ],
  ])('answers %s with its status', async (_, body, grpcStatus, message) => {
    expect(await ask(UNARY, body)).toMatchObject({ grpcStatus, message });
  });

  it('answers a message of 4 MiB and 1 byte with RESOURCE_EXHAUSTED, and one of 4 MiB with OK, by default', async () => {
    await using echo = await startEcho();
    using client = new RawClient(echo.port);
    const ofLength = (length: number) => {
      const overhead = 5; // tag and length of a StringValue of this size
      return wireMessage(Buffer.from(StringValue.encode({ value: 'x'.repeat(length - overhead) }).finish()));
    };
    const limit = 4 * 1024 * 1024;
    expect(await client.call(UNARY, ofLength(limit))).toMatchObject({ grpcStatus: '0' });
    expect(await client.call(UNARY, ofLength(limit + 1))).toMatchObject({
      grpcStatus: '8',
      message: 'Read a gRPC message: it has 4194305 bytes, the limit is 4194304',
    });
  });

  it('refuses a long message by its header, before the rest is sent', async () => {
    await using echo = await startEcho();
    using client = new RawClient(echo.port);
    const call = client.open(UNARY);
    call.stream.write(wireMessage(Buffer.alloc(0)).fill(0xff, 1));
    expect(await call.answer).toMatchObject({ grpcStatus: '8', rstCode: 0 });
  });

  it('refuses messages while all calls together hold too many bytes, and goes on after', async () => {
    await using echo = await startEcho({}, { bufferedBytesMax: 1000 });
    using client = new RawClient(echo.port);
    const holding = client.open(UNARY);
    holding.stream.write(wireMessage(Buffer.alloc(900)).subarray(0, 800));
    const half = wireMessage(Buffer.from(StringValue.encode({ value: 'x'.repeat(250) }).finish()));
    await expect
      .poll(async () => await client.call(UNARY, half))
      .toMatchObject({
        grpcStatus: '8',
        message: 'Buffer a request: calls hold 800 bytes of messages, the limit is 1000',
      });
    holding.stream.close(8);
    await expect.poll(async () => await client.call(UNARY, half)).toMatchObject({ grpcStatus: '0' });
  });

  it('refuses calls over its limit, and says when to try again', async () => {
    const release = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const unary: EchoHandlers['unary'] = async (request) => {
      begun.resolve();
      await release.promise;
      return request;
    };
    await using echo = await startEcho({ unary }, { callsMax: 1 });
    using client = new RawClient(echo.port);
    const first = client.call(UNARY, wireMessage(hello));
    await begun.promise;
    expect(await client.call(UNARY, wireMessage(hello))).toMatchObject({
      grpcStatus: '8',
      message: `Call ${UNARY}: 1 calls run here, the limit is reached`,
      details: { details: [retryInfo(1000)] },
    });
    release.resolve();
    expect(await first).toMatchObject({ grpcStatus: '0' });
    expect(await client.call(UNARY, wireMessage(hello))).toMatchObject({ grpcStatus: '0' });
  });

  it('cannot be given two services of one name', async () => {
    await using echo = await startEcho();
    const { EchoDefinition } = await import('../../setup/rpc.ts');
    const add = () => echo.server.addService(EchoDefinition, {} as never);
    expect(add).toThrow('Add service ingot.test.Echo: it is there already');
  });

  it('says why it cannot listen', async () => {
    await using echo = await startEcho();
    const { RpcServer } = await import('../../../core/rpc/rpc-server.ts');
    const { silentLogger } = await import('../../../core/log/logger.ts');
    await using second = new RpcServer({ logger: silentLogger });
    await expect(second.listen({ host: '127.0.0.1', port: echo.port })).rejects.toMatchObject({
      code: 9,
      message: `Listen on 127.0.0.1:${echo.port}: listen EADDRINUSE: address already in use 127.0.0.1:${echo.port}`,
    });
  });
});

describe('RpcServer, compressed requests', () => {
  const gzip = { 'grpc-encoding': 'gzip' };

  it.each([
    ['gzip', gzipSync(hello)],
    ['deflate', deflateSync(hello)],
  ])('decompresses %s', async (encoding, bytes) => {
    const answer = await ask(UNARY, wireMessage(bytes, 1), { headers: { 'grpc-encoding': encoding } });
    expect(answer).toMatchObject({ grpcStatus: '0', body: wireMessage(hello) });
  });

  it('takes messages that are not compressed in a call that may compress', async () => {
    const bytes = Buffer.from([0x0a, 2, 1, 2]);
    const body = Buffer.concat([wireMessage(bytes), wireMessage(gzipSync(bytes), 1), wireMessage(bytes)]);
    expect(await ask(UPLOAD, body, { headers: gzip })).toMatchObject({
      grpcStatus: '0',
      body: wireMessage(Buffer.from(StringValue.encode({ value: '6' }).finish())),
    });
  });

  it('stops a gzip bomb at the message limit, in a unary call and in a stream', async () => {
    const bomb = wireMessage(gzipSync(Buffer.alloc(64 * 1024 * 1024)), 1);
    for (const path of [UNARY, UPLOAD]) {
      expect(await ask(path, bomb, { headers: gzip })).toMatchObject({
        grpcStatus: '8',
        message: 'Decompress a gzip gRPC message: it grows past 100000 bytes, which is the limit',
      });
    }
  });

  it('refuses what is not gzip', async () => {
    expect(await ask(UNARY, wireMessage(hello, 1), { headers: gzip })).toMatchObject({
      grpcStatus: '3',
      message: 'Decompress a gzip gRPC message: it is damaged',
    });
  });

  it('refuses an encoding it does not know, and says which it does', async () => {
    const answer = await ask(UNARY, wireMessage(hello), { headers: { 'grpc-encoding': 'br' } });
    expect(answer).toMatchObject({
      grpcStatus: '12',
      message: 'Read a gRPC call: its grpc-encoding is "br", expected one of identity,gzip,deflate',
    });
    expect(answer.headers['grpc-accept-encoding']).toBe('identity,gzip,deflate');
  });

  it('refuses a compressed message in a call without an encoding', async () => {
    expect(await ask(UNARY, wireMessage(gzipSync(hello), 1))).toMatchObject({
      grpcStatus: '13',
      message: 'Read a gRPC message: it is flagged as compressed, but the call has no grpc-encoding',
    });
  });
});

describe('RpcServer, the context of a call', () => {
  async function contextOf(headers: Record<string, string>): Promise<CallContext> {
    let context: CallContext | undefined;
    const answer = await ask(UNARY, wireMessage(hello), {
      headers,
      handlers: {
        unary: async (request, given) => {
          context = given;
          return request;
        },
      },
    });
    expect(answer.grpcStatus).toBe('0');
    return context!;
  }

  it('has the metadata by lower-case name', async () => {
    const { metadata, peer } = await contextOf({ Authorization: 'Bearer x', 'a-bin': 'AAE' });
    expect(metadata.get('authorization')).toBe('Bearer x');
    expect(metadata.get('a-bin')).toBe('AAE');
    expect(metadata.has(':path')).toBe(false);
    expect(peer).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it('has the deadline on the monotonic clock', async () => {
    const { deadlineMs } = await contextOf({ 'grpc-timeout': '5S' });
    expect(deadlineMs! - performance.now()).toBeGreaterThan(4000);
    expect(deadlineMs! - performance.now()).toBeLessThanOrEqual(5000);
    expect((await contextOf({})).deadlineMs).toBeUndefined();
  });

  it('refuses a deadline it cannot read', async () => {
    expect(await ask(UNARY, wireMessage(hello), { headers: { 'grpc-timeout': 'soon' } })).toMatchObject({
      grpcStatus: '3',
      message: 'Read a gRPC call: its grpc-timeout is "soon", expected 1 to 8 digits and one of H M S m u n',
    });
  });

  it('has the request metadata', async () => {
    const sent = RequestMetadata.fromPartial({ toolInvocationId: 'i', actionMnemonic: 'CppCompile' });
    const header = Buffer.from(RequestMetadata.encode(sent).finish()).toString('base64');
    const name = 'build.bazel.remote.execution.v2.requestmetadata-bin';
    expect((await contextOf({ [name]: header })).requestMetadata).toEqual(sent);
    expect((await contextOf({ [name]: header.replace(/=+$/, '') })).requestMetadata).toEqual(sent);
    expect((await contextOf({ [name]: 'AAAA' })).requestMetadata).toBeDefined();
    expect((await contextOf({ [name]: '/////w' })).requestMetadata).toBeUndefined();
    expect((await contextOf({})).requestMetadata).toBeUndefined();
  });

  it('has a signal that aborts once the call is over', async () => {
    const { signal } = await contextOf({});
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ code: 1, message: 'the call is over' });
  });
});
