import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { NatsMessageBus } from '../../core/bus/nats-message-bus.ts';
import { isIngotError } from '../../core/error.ts';
import { silentLogger } from '../../core/log/logger.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { bytesOf } from '../../core/streams.ts';
import {
  ExecuteRequest,
  type ExecuteResponse,
  ExecutionDefinition,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Operation } from '../../proto/gen/google/longrunning/operations.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { CommitReply_Outcome } from '../../proto/gen/ingot/v1/bus.ts';
import { FarmDefinition } from '../../proto/gen/ingot/v1/farm.ts';
import { executeResponse } from '../scheduler/execute-response.ts';
import { type FakeRun, FakeWorker } from '../scheduler/fake-worker.ts';
import { responseOf } from '../scheduler/scheduler-under-test.ts';
import { uploadAction } from '../scheduler/upload-action.ts';
import { RolePart } from '../setup/cluster.ts';
import { MemoryBlobStore } from '../setup/memory-blob-store.ts';
import { NatsServer } from '../setup/nats-server.ts';

/** A cache and a scheduler as processes, a real nats-server, and workers of this process that run nothing but time. */
class CrashableFarm implements AsyncDisposable {
  readonly nats: NatsServer;
  readonly cache: RolePart;
  readonly scheduler: RolePart;
  readonly workers: FakeWorker[] = [];
  /** Where the scheduler's next start is to die. */
  fail = '';
  readonly #folder: string;
  #bus: NatsMessageBus | undefined;
  #channel: RpcChannel | undefined;

  private constructor(nats: NatsServer, folder: string) {
    this.nats = nats;
    this.#folder = folder;
    const grpc = (last: ReadonlyMap<string, string>) => ['--grpc', last.get('grpc') ?? '127.0.0.1:0'];
    this.cache = new RolePart((last) => [
      'cache',
      '--data',
      join(folder, 'c'),
      ...grpc(last),
      '--http',
      '127.0.0.1:0',
    ]);
    this.scheduler = new RolePart((last) => [
      'scheduler',
      ...['--data', join(folder, 's'), ...grpc(last)],
      ...['--cache', this.cache.endpoint('grpc'), '--nats', nats.url],
      ...(this.fail === '' ? [] : ['--fail', this.fail]),
    ]);
  }

  static async start(fail = ''): Promise<CrashableFarm> {
    const folder = await mkdtemp(join(tmpdir(), 'ingot-crash-'));
    const farm = new CrashableFarm(await NatsServer.start(), folder);
    farm.fail = fail;
    await farm.cache.start();
    await farm.scheduler.start();
    farm.fail = '';
    farm.#channel = new RpcChannel({ address: farm.scheduler.endpoint('grpc') });
    farm.#bus = await NatsMessageBus.connect({ url: farm.nats.url, name: 'test', logger: silentLogger });
    return farm;
  }

  async worker(id: string, slots: number, run: FakeRun): Promise<FakeWorker> {
    const offer = { slots, cpuMillis: slots * 1000 };
    const worker = await FakeWorker.start({ bus: this.#bus!, id, run, offer });
    this.workers.push(worker);
    return worker;
  }

  /** Uploads an action that differs from all others. */
  async upload(): Promise<ExecuteRequest> {
    const staging = new MemoryBlobStore();
    const { actionDigest } = uploadAction(staging, { files: { x: randomUUID() } });
    await using channel = new RpcChannel({ address: this.cache.endpoint('grpc') });
    const store = new GrpcBlobStore({ channel, instanceName: '' });
    for (const digest of staging.written) {
      await store.write(digest, (await staging.read(digest)) ?? bytesOf());
    }
    return ExecuteRequest.create({ actionDigest: actionDigest.toMessage() });
  }

  /** As a patient client: comes back by name, executes again when the name is forgotten, until there is an answer. */
  async execute(request: ExecuteRequest): Promise<ExecuteResponse> {
    const client = this.#channel!.client(ExecutionDefinition);
    let name = '';
    for (;;) {
      try {
        const stream = name === '' ? client.execute(request) : client.waitExecution({ name });
        let last: Operation | undefined;
        for await (const operation of stream) {
          last = operation;
          name = operation.name;
        }
        if (last?.done) return responseOf(last);
      } catch (error) {
        if (isIngotError(error, Code.NOT_FOUND)) name = '';
        else if (!isIngotError(error, Code.UNAVAILABLE) && !isIngotError(error, Code.CANCELLED)) throw error;
        await sleep(100);
      }
    }
  }

  async status() {
    return await this.#channel!.client(FarmDefinition).getStatus({});
  }

  /** Times each operation was started, over all workers. */
  starts(): Map<string, number> {
    const starts = new Map<string, number>();
    for (const { offers } of this.workers) {
      for (const { operationName } of offers) starts.set(operationName, (starts.get(operationName) ?? 0) + 1);
    }
    return starts;
  }

  accepted(): number {
    const replies = this.workers.flatMap((worker) => worker.replies);
    return replies.filter(({ outcome }) => outcome === CommitReply_Outcome.ACCEPTED).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.workers) await worker.kill();
    await this.#channel?.close();
    await this.#bus?.close();
    await this.scheduler.kill();
    await this.cache.kill();
    await this.nats[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const soon = async () => {
  await sleep(20);
  return executeResponse('done');
};

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    // There is no such process any more.
    return false;
  }
}

describe('kill -9 of the scheduler', () => {
  test.each([
    'journal.before_write:2',
    'journal.before_write:5',
    'journal.after_write:2',
    'journal.after_write:4',
    'journal.after_write:9',
    'commit.after_cache:1',
    'commit.after_cache:4',
  ])('at %s loses no action and takes no result twice', async (fail) => {
    await using farm = await CrashableFarm.start(fail);
    await farm.worker('one', 2, soon);
    await farm.worker('two', 2, soon);
    const requests = await Promise.all(Array.from({ length: 12 }, () => farm.upload()));
    const answers = requests.map((request) => farm.execute(request));
    await expect.poll(() => isAlive(farm.scheduler.pid), { timeout: 20_000 }).toBe(false);
    await farm.scheduler.kill();
    await farm.scheduler.start();
    for (const answer of answers) expect((await answer).result?.exitCode).toBe(0);
    await expect.poll(farm.status.bind(farm), { timeout: 10_000 }).toMatchObject({ queued: 0, executing: 0 });
    for (const [name, starts] of farm.starts()) expect(starts, name).toBeLessThanOrEqual(2);
  });

  test('with 4 running and 20 queued: all finish, and what ran is not run again', async () => {
    await using farm = await CrashableFarm.start();
    const go = Promise.withResolvers<void>();
    const waiting = async () => {
      await go.promise;
      return executeResponse('done');
    };
    await farm.worker('one', 2, waiting);
    await farm.worker('two', 2, waiting);
    const requests = await Promise.all(Array.from({ length: 24 }, () => farm.upload()));
    const answers = requests.map((request) => farm.execute(request));
    await expect
      .poll(farm.status.bind(farm), { timeout: 10_000 })
      .toMatchObject({ queued: 20, executing: 4 });
    await farm.scheduler.kill();
    await sleep(500);
    await farm.scheduler.start();
    await expect
      .poll(farm.status.bind(farm), { timeout: 10_000 })
      .toMatchObject({ queued: 20, executing: 4 });
    go.resolve();
    for (const answer of answers) expect((await answer).message).toBe('done');
    const starts = farm.starts();
    expect(starts.size).toBe(24);
    expect([...starts.values()].every((count) => count === 1)).toBe(true);
    // A client may hear of the end before the worker has its reply.
    await expect.poll(() => farm.accepted()).toBe(24);
  });
});

test('kill -9 of nats-server: actions are accepted meanwhile, what runs goes on, and all finish after', async () => {
  await using farm = await CrashableFarm.start();
  const go = Promise.withResolvers<void>();
  const waiting = async () => {
    await go.promise;
    return executeResponse('done');
  };
  await farm.worker('one', 2, waiting);
  await farm.worker('two', 2, waiting);
  const requests = await Promise.all(Array.from({ length: 12 }, () => farm.upload()));
  const answers = requests.slice(0, 6).map((request) => farm.execute(request));
  await expect.poll(farm.status.bind(farm), { timeout: 10_000 }).toMatchObject({ queued: 2, executing: 4 });
  await farm.nats.kill();
  answers.push(...requests.slice(6).map((request) => farm.execute(request)));
  go.resolve();
  await sleep(6_000);
  await expect.poll(farm.status.bind(farm)).toMatchObject({ queued: 8, executing: 4 });
  await farm.nats.start();
  for (const answer of answers) expect((await answer).message).toBe('done');
  expect([...farm.starts().values()].every((count) => count === 1)).toBe(true);
});
