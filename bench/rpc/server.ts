import { once } from 'node:events';
import {
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { silentLogger } from '../../core/log/logger.ts';
import { ByteStreamDefinition } from '../../core/rpc/byte-stream-definition.ts';
import { RpcServer } from '../../core/rpc/rpc-server.ts';
import type { ServiceImplementation } from '../../core/rpc/rpc-service.ts';
import type {
  QueryWriteStatusRequest,
  QueryWriteStatusResponse,
  ReadRequest,
  ReadResponse,
  WriteRequest,
  WriteResponse,
} from '../../proto/gen/google/bytestream/bytestream.ts';

/** Runs one of the two servers, with the same answers; sends its parent its port, and its CPU time when asked. */
const CHUNK = Buffer.alloc(64 * 1024, 7);

const onIngot: ServiceImplementation<typeof ByteStreamDefinition> = {
  queryWriteStatus: async ({ resourceName }) => ({ committedSize: resourceName.length, complete: true }),
  async *read({ readLimit }) {
    for (let sent = 0; sent < readLimit; sent += CHUNK.length) yield { data: CHUNK };
  },
  async write(requests) {
    let committedSize = 0;
    for await (const { data } of requests) committedSize += data.length;
    return { committedSize };
  },
};

async function listenIngot(): Promise<number> {
  const server = new RpcServer({ logger: silentLogger });
  server.addService(ByteStreamDefinition, onIngot);
  return (await server.listen({ host: '127.0.0.1', port: 0 })).port;
}

const onGrpcJs = {
  queryWriteStatus: (
    { request }: ServerUnaryCall<QueryWriteStatusRequest, QueryWriteStatusResponse>,
    answer: sendUnaryData<QueryWriteStatusResponse>,
  ): void => answer(null, { committedSize: request.resourceName.length, complete: true }),
  async read(call: ServerWritableStream<ReadRequest, ReadResponse>): Promise<void> {
    for (let sent = 0; sent < call.request.readLimit; sent += CHUNK.length) {
      if (!call.write({ data: CHUNK })) await once(call, 'drain');
    }
    call.end();
  },
  async write(
    call: ServerReadableStream<WriteRequest, WriteResponse>,
    answer: sendUnaryData<WriteResponse>,
  ): Promise<void> {
    let committedSize = 0;
    for await (const { data } of call) committedSize += data.length;
    answer(null, { committedSize });
  },
};

async function listenGrpcJs(): Promise<number> {
  const server = new Server();
  const methods = Object.entries(ByteStreamDefinition.methods).map(([key, method]) => [
    key,
    {
      path: `/${ByteStreamDefinition.fullName}/${method.name}`,
      requestStream: method.requestStream,
      responseStream: method.responseStream,
      requestDeserialize: (bytes: Buffer) => method.requestType.decode(bytes),
      requestSerialize: () => Buffer.alloc(0),
      responseSerialize: (message: never) => Buffer.from(method.responseType.encode(message).finish()),
      responseDeserialize: () => undefined,
    },
  ]);
  const service = Object.fromEntries(methods) as unknown as ServiceDefinition;
  server.addService(service, onGrpcJs as never);
  return await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuUs: user + system });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port: process.argv[2] === 'grpc-js' ? await listenGrpcJs() : await listenIngot() });
