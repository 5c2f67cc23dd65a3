import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { composeCache } from '../cache/main.ts';
import type { Authenticator } from '../core/auth/authenticator.ts';
import { InProcessMessageBus } from '../core/bus/in-process-message-bus.ts';
import { type CallerRole, callerRoleNames, callerRoles } from '../core/caller.ts';
import { isIngotError, unauthenticated } from '../core/error.ts';
import { Lifecycle } from '../core/lifecycle.ts';
import { silentLogger } from '../core/log/logger.ts';
import { ByteStreamDefinition } from '../core/rpc/byte-stream-definition.ts';
import { addReflection } from '../core/rpc/reflection-service.ts';
import { RpcChannel } from '../core/rpc/rpc-channel.ts';
import { RpcServer } from '../core/rpc/rpc-server.ts';
import type { ServiceDefinition } from '../core/rpc/rpc-service.ts';
import {
  ActionCacheDefinition,
  CapabilitiesDefinition,
  ContentAddressableStorageDefinition,
  ExecutionDefinition,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { OperationsDefinition } from '../proto/gen/google/longrunning/operations.ts';
import { Code } from '../proto/gen/google/rpc/code.ts';
import { HealthDefinition } from '../proto/gen/grpc/health/v1/health.ts';
import { ServerReflectionDefinition } from '../proto/gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionDefinition as ServerReflectionV1alphaDefinition } from '../proto/gen/grpc/reflection/v1alpha/reflection.ts';
import { FarmDefinition } from '../proto/gen/ingot/v1/farm.ts';
import { schedulerConfigSchema } from '../scheduler/config.ts';
import { composeScheduler } from '../scheduler/main.ts';
import { tempFolder } from './setup/temp-folder.ts';

const DEFINITIONS: readonly ServiceDefinition[] = [
  HealthDefinition,
  CapabilitiesDefinition,
  ContentAddressableStorageDefinition,
  ActionCacheDefinition,
  ByteStreamDefinition,
  ExecutionDefinition,
  OperationsDefinition,
  FarmDefinition,
  ServerReflectionDefinition,
  ServerReflectionV1alphaDefinition,
];

const EVERY_ROLE = callerRoleNames;
const READERS = EVERY_ROLE;
const WRITERS: readonly CallerRole[] = ['writer', 'publisher', 'worker', 'scheduler'];
const BUILDERS: readonly CallerRole[] = ['writer', 'publisher'];

/** Who may call what, written down apart from the rules that are tested. A method that is not in it fails. */
const EXPECTED: Readonly<Record<string, readonly CallerRole[] | 'public'>> = {
  '/grpc.health.v1.Health/Check': 'public',
  '/grpc.health.v1.Health/List': 'public',
  '/grpc.health.v1.Health/Watch': 'public',
  '/build.bazel.remote.execution.v2.Capabilities/GetCapabilities': EVERY_ROLE,
  '/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs': READERS,
  '/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs': WRITERS,
  '/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchReadBlobs': READERS,
  '/build.bazel.remote.execution.v2.ContentAddressableStorage/GetTree': READERS,
  '/build.bazel.remote.execution.v2.ContentAddressableStorage/SplitBlob': READERS,
  '/build.bazel.remote.execution.v2.ContentAddressableStorage/SpliceBlob': WRITERS,
  '/build.bazel.remote.execution.v2.ActionCache/GetActionResult': READERS,
  '/build.bazel.remote.execution.v2.ActionCache/UpdateActionResult': ['publisher', 'scheduler'],
  '/google.bytestream.ByteStream/Read': READERS,
  '/google.bytestream.ByteStream/Write': WRITERS,
  '/google.bytestream.ByteStream/QueryWriteStatus': WRITERS,
  '/build.bazel.remote.execution.v2.Execution/Execute': BUILDERS,
  '/build.bazel.remote.execution.v2.Execution/WaitExecution': BUILDERS,
  '/google.longrunning.Operations/GetOperation': BUILDERS,
  '/google.longrunning.Operations/ListOperations': BUILDERS,
  '/google.longrunning.Operations/CancelOperation': BUILDERS,
  '/google.longrunning.Operations/DeleteOperation': BUILDERS,
  '/google.longrunning.Operations/WaitOperation': BUILDERS,
  '/ingot.v1.Farm/GetStatus': READERS,
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo': EVERY_ROLE,
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo': EVERY_ROLE,
};

const byRole: Authenticator = {
  authenticate(authorization) {
    const role = callerRoleNames.find((name) => authorization === `Bearer ${name}`);
    if (role === undefined) throw unauthenticated('no role');
    return { name: role, rights: new Set(callerRoles[role]) };
  },
};

const stack = new AsyncDisposableStack();
const channels = new Map<string, RpcChannel>();
let served: readonly string[] = [];

beforeAll(async () => {
  const folder = stack.use(await tempFolder());
  const logger = silentLogger;
  const lifecycle = new Lifecycle({ logger });
  stack.defer(() => lifecycle.shutdown({ deadlineMs: 5000 }));
  const { cacheConfigSchema } = await import('../cache/config.ts');
  const cache = await composeCache(cacheConfigSchema.parse({ data: folder.path }), { logger, lifecycle });
  const bus = lifecycle.use('bus', new InProcessMessageBus({ logger }));
  const { blobStoreOf, actionCache } = cache;
  const config = schedulerConfigSchema.parse({ data: folder.path });
  const scheduler = await composeScheduler(config, { logger, lifecycle }, { blobStoreOf, actionCache, bus });
  const rpc = new RpcServer({ logger, authenticator: byRole });
  cache.addServices(rpc, { execution: scheduler.executionCapabilities });
  scheduler.addServices(rpc);
  await addReflection(rpc);
  served = rpc.serviceNames;
  const { port } = await rpc.listen({ host: '127.0.0.1', port: 0 });
  stack.defer(() => rpc.close({ graceMs: 0 }));
  for (const token of ['none', ...callerRoleNames]) {
    const channel = new RpcChannel({ address: `127.0.0.1:${port}`, security: { token: () => token } });
    channels.set(token, channel);
    stack.defer(() => channel.close());
  }
});
afterAll(() => stack.disposeAsync());

/** The code a call with an empty request ends with; of a stream, its first answer counts as OK. */
async function outcome(token: string, definition: ServiceDefinition, key: string): Promise<Code> {
  const method = definition.methods[key];
  const call = channels.get(token)?.client(definition)[key] as unknown as (request: unknown) => unknown;
  const empty = method?.requestType.decode(new Uint8Array());
  const request = method?.requestStream
    ? (async function* () {
        yield empty;
      })()
    : empty;
  try {
    const answer = call(request);
    if (method?.responseStream) {
      for await (const _ of answer as AsyncIterable<unknown>) return Code.OK;
    } else {
      await answer;
    }
    return Code.OK;
  } catch (error) {
    if (!isIngotError(error)) throw error;
    return error.code;
  }
}

it('the table has every method of every service that is served, and no other', () => {
  expect(DEFINITIONS.map(({ fullName }) => fullName).toSorted()).toEqual(served.toSorted());
  const methods = DEFINITIONS.flatMap(({ fullName, methods }) =>
    Object.values(methods).map(({ name }) => `/${fullName}/${name}`),
  );
  expect(methods.toSorted()).toEqual(Object.keys(EXPECTED).toSorted());
});

describe.each(
  DEFINITIONS.flatMap((definition) => Object.keys(definition.methods).map((key) => ({ definition, key }))),
)('$definition.fullName $key', ({ definition, key }) => {
  const allowed = EXPECTED[`/${definition.fullName}/${definition.methods[key]?.name}`];

  it('asks for a credential unless it is public', async () => {
    const code = await outcome('none', definition, key);
    expect(code === Code.UNAUTHENTICATED).toBe(allowed !== 'public');
  });

  it.each(callerRoleNames)('%s', async (role) => {
    const code = await outcome(role, definition, key);
    expect(code).not.toBe(Code.UNAUTHENTICATED);
    expect(code !== Code.PERMISSION_DENIED).toBe(allowed === 'public' || allowed?.includes(role));
  });
});
