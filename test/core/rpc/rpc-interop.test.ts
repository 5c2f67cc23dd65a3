import { once } from 'node:events';
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { notFound } from '../../../core/error.ts';
import { retryInfo } from '../../../core/error-details.ts';
import { RpcChannel } from '../../../core/rpc/rpc-channel.ts';
import { statusTrailers } from '../../../core/rpc/rpc-status.ts';
import { BytesValue, StringValue } from '../../../proto/gen/google/protobuf/wrappers.ts';
import { EchoDefinition, startEcho } from '../../setup/rpc.ts';

const path = (method: string): string => `/${EchoDefinition.fullName}/${method}`;
const encode = ({ value }: StringValue): Buffer => Buffer.from(StringValue.encode({ value }).finish());
const encodeBytes = ({ value }: BytesValue): Buffer => Buffer.from(BytesValue.encode({ value }).finish());
const decode = (bytes: Buffer): StringValue => StringValue.decode(bytes);
const decodeBytes = (bytes: Buffer): BytesValue => BytesValue.decode(bytes);

describe('RpcServer, called by a plain grpc-js client', () => {
  it('serves calls of every shape', async () => {
    await using echo = await startEcho();
    const client = new Client(echo.address, credentials.createInsecure());
    const unary = Promise.withResolvers<unknown>();
    client.makeUnaryRequest(path('Unary'), encode, decode, { value: 'a' }, (error, answer) =>
      unary.resolve(error ?? answer),
    );
    expect(await unary.promise).toEqual({ value: 'a' });

    const upload = Promise.withResolvers<unknown>();
    const writing = client.makeClientStreamRequest(path('Upload'), encodeBytes, decode, (error, answer) =>
      upload.resolve(error ?? answer),
    );
    for (let sent = 0; sent < 10; sent++) writing.write({ value: Buffer.alloc(100_000) });
    writing.end();
    expect(await upload.promise).toEqual({ value: '1000000' });

    const reading = client.makeServerStreamRequest(path('Download'), encode, decodeBytes, { value: 'abc' });
    expect(await reading.toArray()).toEqual([{ value: Buffer.from('abc') }]);

    const both = client.makeBidiStreamRequest(path('Both'), encode, decode);
    both.write({ value: '1' });
    expect(await once(both, 'data')).toEqual([{ value: '1' }]);
    both.end();
    expect(await both.toArray()).toEqual([]);
    client.close();
  });

  it('gives it the status and its details', async () => {
    const details = [retryInfo(5)];
    await using echo = await startEcho({
      unary: async () => {
        throw notFound('nicht da: 0 %', { details });
      },
    });
    const client = new Client(echo.address, credentials.createInsecure());
    const failed = Promise.withResolvers<ServiceError | null>();
    client.makeUnaryRequest(path('Unary'), encode, decode, { value: '' }, (error) => failed.resolve(error));
    expect(await failed.promise).toMatchObject({ code: status.NOT_FOUND, details: 'nicht da: 0 %' });
    expect((await failed.promise)?.metadata.get('grpc-status-details-bin')).toHaveLength(1);
    client.close();
  });
});

describe('RpcChannel, calling a grpc-js server', () => {
  const service = Object.fromEntries(
    Object.entries(EchoDefinition.methods).map(([key, method]) => [
      key,
      {
        path: path(method.name),
        requestStream: method.requestStream,
        responseStream: method.responseStream,
        requestDeserialize: (bytes: Buffer) => method.requestType.decode(bytes),
        requestSerialize: () => Buffer.alloc(0),
        responseSerialize: (message: never) => Buffer.from(method.responseType.encode(message).finish()),
        responseDeserialize: () => undefined,
      },
    ]),
  );

  async function startGrpcJs(handlers: Record<string, (...args: never[]) => void>) {
    const server = new Server();
    server.addService(service as unknown as ServiceDefinition, handlers as never);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const channel = new RpcChannel({ address: `127.0.0.1:${port}` });
    return {
      client: channel.client(EchoDefinition),
      async [Symbol.asyncDispose]() {
        await channel.close();
        server.forceShutdown();
      },
    };
  }

  it('makes calls of every shape', async () => {
    await using started = await startGrpcJs({
      unary: ({ request }: { request: StringValue }, answer: (error: null, value: StringValue) => void) =>
        answer(null, request),
      download: (call: { request: StringValue; write(value: BytesValue): void; end(): void }) => {
        call.write({ value: Buffer.from(call.request.value) });
        call.end();
      },
      upload: (call: AsyncIterable<BytesValue>, answer: (error: null, value: StringValue) => void) => {
        void (async () => {
          let bytes = 0;
          for await (const { value } of call) bytes += value.length;
          answer(null, { value: String(bytes) });
        })();
      },
      both: (call: { pipe(to: unknown): void }) => call.pipe(call),
    });
    const { client } = started;
    expect(await client.unary({ value: 'a' })).toEqual({ value: 'a' });
    expect(await Array.fromAsync(client.download({ value: 'abc' }))).toEqual([{ value: Buffer.from('abc') }]);
    const chunks = (async function* () {
      for (let sent = 0; sent < 10; sent++) yield { value: Buffer.alloc(100_000) };
    })();
    expect(await client.upload(chunks)).toEqual({ value: '1000000' });
    const values = (async function* () {
      yield { value: '1' };
      yield { value: '2' };
    })();
    expect(await Array.fromAsync(client.both(values))).toEqual([{ value: '1' }, { value: '2' }]);
  });

  it('reads the status and its details', async () => {
    const details = [retryInfo(5)];
    const trailers = statusTrailers(notFound('gone', { details }));
    const metadata = new Metadata();
    metadata.set(
      'grpc-status-details-bin',
      Buffer.from(String(trailers['grpc-status-details-bin']), 'base64'),
    );
    await using started = await startGrpcJs({
      unary: (_: unknown, answer: (error: object) => void) => answer({ code: 5, details: 'gone', metadata }),
    });
    await expect(started.client.unary({ value: '' })).rejects.toMatchObject({
      code: 5,
      message: 'gone',
      details,
    });
  });
});
