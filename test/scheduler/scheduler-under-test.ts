import { InProcessMessageBus } from '../../core/bus/in-process-message-bus.ts';
import type { MessageBus } from '../../core/bus/message-bus.ts';
import { Lifecycle } from '../../core/lifecycle.ts';
import { MetricRegistry } from '../../core/metrics/metric-registry.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { RpcServer } from '../../core/rpc/rpc-server.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import {
  type ExecuteOperationMetadata,
  ExecuteOperationMetadata as ExecuteOperationMetadataCodec,
  ExecuteRequest,
  ExecuteResponse,
  ExecutionDefinition,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { type Operation, OperationsDefinition } from '../../proto/gen/google/longrunning/operations.ts';
import { FarmDefinition } from '../../proto/gen/ingot/v1/farm.ts';
import { schedulerConfigSchema } from '../../scheduler/config.ts';
import { composeScheduler, type SchedulerRole } from '../../scheduler/main.ts';
import { MemoryActionCache } from '../setup/memory-action-cache.ts';
import { MemoryBlobStore } from '../setup/memory-blob-store.ts';
import { recordingLogger } from '../setup/recording-logger.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { FakeWorker, type FakeWorkerOptions } from './fake-worker.ts';
import { type ActionParts, uploadAction } from './upload-action.ts';

interface Running {
  readonly role: SchedulerRole;
  readonly lifecycle: Lifecycle;
  readonly server: RpcServer;
  readonly channel: RpcChannel;
}

/** A whole scheduler: real gRPC, a real journal in a folder of its own, stores in memory, and fake workers on the bus. */
export class SchedulerUnderTest implements AsyncDisposable {
  readonly blobStore = new MemoryBlobStore();
  readonly actionCache = new MemoryActionCache();
  readonly logger = recordingLogger();
  /** Of the scheduler that is open now. */
  metrics = new MetricRegistry();
  readonly bus: MessageBus;
  readonly #config: Readonly<Record<string, unknown>>;
  readonly #folder: Awaited<ReturnType<typeof tempFolder>>;
  readonly #workers: FakeWorker[] = [];
  #running: Running | undefined;

  private constructor(
    folder: Awaited<ReturnType<typeof tempFolder>>,
    bus: MessageBus | undefined,
    config: Readonly<Record<string, unknown>>,
  ) {
    this.#folder = folder;
    this.#config = config;
    this.bus = bus ?? new InProcessMessageBus({ logger: this.logger });
  }

  static async start(
    config: Readonly<Record<string, unknown>> = {},
    bus?: MessageBus,
  ): Promise<SchedulerUnderTest> {
    const under = new SchedulerUnderTest(await tempFolder(), bus, config);
    await under.open();
    return under;
  }

  get execution(): ServiceClient<typeof ExecutionDefinition> {
    return this.#open().channel.client(ExecutionDefinition);
  }

  get operations(): ServiceClient<typeof OperationsDefinition> {
    return this.#open().channel.client(OperationsDefinition);
  }

  get farm(): ServiceClient<typeof FarmDefinition> {
    return this.#open().channel.client(FarmDefinition);
  }

  get role(): SchedulerRole {
    return this.#open().role;
  }

  async open(): Promise<void> {
    const config = schedulerConfigSchema.parse({ data: this.#folder.path, ...this.#config });
    const { logger, blobStore, actionCache, bus } = this;
    const lifecycle = new Lifecycle({ logger });
    const parts = {
      blobStoreOf: () => blobStore,
      actionCache,
      bus,
      busDescription: 'in process',
      version: '1.2.3',
    };
    this.metrics = new MetricRegistry();
    const role = await composeScheduler(config, { logger, lifecycle, metrics: this.metrics }, parts);
    const server = new RpcServer({ logger });
    role.addServices(server);
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    this.#running = { role, lifecycle, server, channel: new RpcChannel({ address: `127.0.0.1:${port}` }) };
  }

  /** The scheduler goes away; workers, stores and the bus stay. */
  async close(): Promise<void> {
    const { lifecycle, server, channel } = this.#open();
    this.#running = undefined;
    await lifecycle.shutdown({ deadlineMs: 5_000 });
    await server.close({ graceMs: 0 });
    await channel.close();
  }

  async worker(
    id: string,
    run: FakeWorkerOptions['run'],
    offer?: FakeWorkerOptions['offer'],
  ): Promise<FakeWorker> {
    const worker = await FakeWorker.start({ bus: this.bus, id, run, ...(offer && { offer }) });
    this.#workers.push(worker);
    return worker;
  }

  /** Uploads an action; equal parts are equal actions. */
  request(parts: ActionParts = {}, changes: Partial<ExecuteRequest> = {}): ExecuteRequest {
    const { actionDigest } = uploadAction(this.blobStore, parts);
    return ExecuteRequest.create({ actionDigest: actionDigest.toMessage(), ...changes });
  }

  /** Executes to the end. */
  async execute(parts: ActionParts = {}, changes: Partial<ExecuteRequest> = {}): Promise<Operation> {
    return lastOf(this.execution.execute(this.request(parts, changes)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) await worker.kill();
    if (this.#running !== undefined) await this.close();
    await this.bus.close();
    await this.#folder[Symbol.asyncDispose]();
  }

  #open(): Running {
    if (this.#running === undefined) throw new Error('the scheduler is closed');
    return this.#running;
  }
}

/** The last of a stream of operations. */
export async function lastOf(operations: AsyncIterable<Operation>): Promise<Operation> {
  let last: Operation | undefined;
  for await (const operation of operations) last = operation;
  if (last === undefined) throw new Error('the stream had no operation');
  return last;
}

/** The ExecuteResponse of an operation that is done. */
export function responseOf(operation: Operation): ExecuteResponse {
  if (!operation.done || operation.result?.$case !== 'response') throw new Error('the operation is not done');
  return ExecuteResponse.decode(operation.result.value.value);
}

export function metadataOf({ metadata }: Operation): ExecuteOperationMetadata {
  if (metadata?.typeUrl !== 'type.googleapis.com/build.bazel.remote.execution.v2.ExecuteOperationMetadata') {
    throw new Error(`the operation has metadata of type ${metadata?.typeUrl}`);
  }
  return ExecuteOperationMetadataCodec.decode(metadata.value);
}
