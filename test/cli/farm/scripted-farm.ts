import { onTestFinished } from 'vitest';
import { notFound } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { RpcServer } from '../../../core/rpc/rpc-server.ts';
import type { ServiceImplementation } from '../../../core/rpc/rpc-service.ts';
import { ByteStreamDefinition, ReadResponse } from '../../../proto/gen/google/bytestream/bytestream.ts';
import {
  ListOperationsResponse,
  type Operation,
  OperationsDefinition,
} from '../../../proto/gen/google/longrunning/operations.ts';
import { Empty } from '../../../proto/gen/google/protobuf/empty.ts';
import { FarmDefinition, type FarmStatus } from '../../../proto/gen/ingot/v1/farm.ts';

interface Script {
  readonly status: FarmStatus;
  readonly operations?: Operation[];
  /** Log streams by name: what was written so far; they never end. */
  readonly logs?: Readonly<Record<string, string>>;
}

/** A real gRPC server with a farm's outer services, answering from a script; notes credentials and cancels. */
export async function scriptedFarm({ status, operations = [], logs = {} }: Script) {
  const cancelled: string[] = [];
  const credentials = new Set<string | undefined>();
  const find = (name: string): Operation => {
    const found = operations.find((operation) => operation.name === name);
    if (found === undefined) throw notFound(`there is no operation ${name}`);
    return found;
  };
  const server = new RpcServer({ logger: silentLogger });
  server.addService(FarmDefinition, {
    getStatus: async (_request, { metadata }) => {
      credentials.add(metadata.get('authorization'));
      return status;
    },
  });
  server.addService(OperationsDefinition, {
    listOperations: async ({ pageToken }) => {
      const start = Number(pageToken || 0);
      const nextPageToken = start + 1 < operations.length ? String(start + 1) : '';
      return ListOperationsResponse.fromPartial({
        operations: operations.slice(start, start + 1),
        nextPageToken,
      });
    },
    getOperation: async ({ name }) => find(name),
    cancelOperation: async ({ name }) => {
      cancelled.push(find(name).name);
      return Empty.fromPartial({});
    },
    deleteOperation: async () => Empty.fromPartial({}),
    waitOperation: async ({ name }) => find(name),
  } as ServiceImplementation<typeof OperationsDefinition>);
  server.addService(ByteStreamDefinition, {
    read: async function* ({ resourceName, readOffset }, { signal }) {
      const text = logs[resourceName];
      if (text === undefined) throw notFound(`there is no stream ${resourceName}`);
      yield ReadResponse.fromPartial({ data: Buffer.from(text).subarray(readOffset) });
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
    write: async () => ({ committedSize: 0 }),
    queryWriteStatus: async () => ({ committedSize: 0, complete: false }),
  });
  const { host, port } = await server.listen({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.close({ graceMs: 0 }));
  return { endpoint: `${host}:${port}`, cancelled, credentials };
}
