import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { delay } from '../../../core/abort.ts';
import { InProcessMessageBus } from '../../../core/bus/in-process-message-bus.ts';
import { Digest } from '../../../core/digest.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { ExecuteResponse } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { CommitReply_Outcome, OfferReply_Outcome as Outcome } from '../../../proto/gen/ingot/v1/bus.ts';
import type { ActionExecutor, ActionWork } from '../../../worker/agent/action-executor.ts';
import { busSubjects } from '../../../worker/agent/bus-subjects.ts';
import { CommitSender } from '../../../worker/agent/commit-sender.ts';
import { type LeaseOutcome, outcomeOfError } from '../../../worker/agent/lease-outcome.ts';
import { LeaseTable } from '../../../worker/agent/lease-table.ts';
import { WorkerAgent } from '../../../worker/agent/worker-agent.ts';
import { WorkerHealth } from '../../../worker/agent/worker-health.ts';
import { BlobUploader } from '../../../worker/output/blob-uploader.ts';
import { StoreRetries } from '../../../worker/store-retries.ts';
import { MemoryBlobStore } from '../../setup/memory-blob-store.ts';
import { FakeScheduler } from '../fake-scheduler.ts';

const ACTION = Digest.ofBytes(Buffer.from('an action'));
const CAPACITY = { slots: 2, cpuMillis: 2000, memoryBytes: 1000, gpus: [] };

/** An executor whose actions end when the test says so. */
class ManualExecutor implements ActionExecutor {
  readonly works: ActionWork[] = [];
  readonly #ends: ((outcome: LeaseOutcome) => void)[] = [];

  execute(work: ActionWork, signal: AbortSignal): Promise<LeaseOutcome> {
    this.works.push(work);
    return new Promise((resolve) => {
      this.#ends.push(resolve);
      signal.addEventListener('abort', () => {
        const metadata = ExecuteResponse.create({ result: { executionMetadata: {} } }).result!
          .executionMetadata!;
        resolve(outcomeOfError(signal.reason, { signal, metadata }));
      });
    });
  }

  async release(): Promise<void> {
    // Nothing is on disk.
  }

  end(index: number, message = 'done'): void {
    const response = ExecuteResponse.create({ message });
    this.#ends[index]!({ kind: 'response', response, uncacheableReason: '' });
  }
}

describe('WorkerAgent', () => {
  let bus: InProcessMessageBus;
  let scheduler: FakeScheduler;
  let executor: ManualExecutor;
  let health: WorkerHealth;
  let agent: WorkerAgent;

  beforeEach(async () => {
    bus = new InProcessMessageBus({ logger: silentLogger });
    scheduler = await FakeScheduler.listen(bus);
    executor = new ManualExecutor();
    health = new WorkerHealth({ logger: silentLogger });
    const subjects = busSubjects('w1');
    const retries = new StoreRetries({ logger: silentLogger, windowMs: 0 });
    agent = new WorkerAgent({
      description: {
        workerId: 'w1',
        incarnation: 'i1',
        hostName: 'host',
        capacity: CAPACITY,
        heartbeatInterval: { seconds: 0, nanos: 50_000_000 },
      },
      properties: () => [{ name: 'pool', value: 'p', treatment: 0 }],
      heartbeatIntervalMs: 50,
      bus,
      subjects,
      leases: new LeaseTable(CAPACITY),
      executor,
      commits: new CommitSender({
        bus,
        uploaderOf: () => new BlobUploader({ blobStore: new MemoryBlobStore(), retries }),
        logger: silentLogger,
        subject: subjects.commit,
        workerId: 'w1',
        incarnation: 'i1',
        firstDelayMs: 5,
      }),
      health,
      logger: silentLogger,
    });
    await agent.start();
  });

  afterEach(async () => {
    await agent.drain({ graceMs: 0 });
    await bus.close();
  });

  test('tells its whole state at once and then regularly, each time with a higher sequence', async () => {
    await scheduler.until(() => scheduler.heartbeats.length >= 3);
    expect(scheduler.heartbeats[0]).toEqual({
      workerId: 'w1',
      incarnation: 'i1',
      sequence: 1,
      hostName: 'host',
      properties: [{ name: 'pool', value: 'p', treatment: 0 }],
      capacity: CAPACITY,
      leases: [],
      draining: false,
      unhealthyReason: '',
      heartbeatInterval: { seconds: 0, nanos: 50_000_000 },
    });
    expect(scheduler.heartbeats.slice(0, 3).map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  });

  test('runs an offered action, commits it, and lists the lease meanwhile', async () => {
    const reply = await scheduler.offer(ACTION, { operationName: 'operations/a', epoch: 5 });
    expect(reply).toEqual({ outcome: Outcome.ACCEPTED, message: '' });
    await scheduler.until(() => scheduler.worker.leases.length === 1);
    expect(scheduler.worker.leases).toEqual([{ operationName: 'operations/a', epoch: 5 }]);
    executor.end(0);
    const commit = await scheduler.commitOf('operations/a');
    expect(commit).toMatchObject({
      epoch: 5,
      workerId: 'w1',
      incarnation: 'i1',
      outcome: { $case: 'response' },
    });
    await scheduler.until(() => scheduler.worker.leases.length === 0);
  });

  test('does not start twice when an offer comes twice (R08)', async () => {
    for (let times = 0; times < 3; times += 1) {
      const reply = await scheduler.offer(ACTION, { operationName: 'operations/a', epoch: 5 });
      expect(reply.outcome).toBe(Outcome.ACCEPTED);
    }
    expect(executor.works).toHaveLength(1);
    const other = await scheduler.offer(ACTION, { operationName: 'operations/a', epoch: 6 });
    expect(other).toEqual({
      outcome: Outcome.ALREADY_LEASED,
      message: 'epoch 5 of the operation runs here',
    });
  });

  test('tells how far an action is', async () => {
    await scheduler.offer(ACTION, { operationName: 'operations/a' });
    const metadata = ExecuteResponse.create({ result: { executionMetadata: { worker: 'w1' } } }).result!;
    executor.works[0]!.onProgress(metadata.executionMetadata!);
    await scheduler.until(() => scheduler.progress.length > 0);
    expect(scheduler.progress[0]).toMatchObject({
      operationName: 'operations/a',
      epoch: 1,
      workerId: 'w1',
      metadata: { worker: 'w1' },
    });
  });

  test('refuses an offer meant for an earlier life of it', async () => {
    const reply = await scheduler.offer(ACTION, { incarnation: 'i0' });
    expect(reply).toEqual({ outcome: Outcome.REFUSED, message: 'this is w1, incarnation i1' });
  });

  test('takes nothing while it is unwell, says why at once, and recovers', async () => {
    health.report('disk', 'the disk is full');
    await scheduler.until(() => scheduler.worker?.unhealthyReason === 'the disk is full');
    expect(await scheduler.offer(ACTION)).toEqual({ outcome: Outcome.REFUSED, message: 'the disk is full' });
    health.report('disk', undefined);
    await scheduler.until(() => scheduler.worker.unhealthyReason === '');
    expect((await scheduler.offer(ACTION)).outcome).toBe(Outcome.ACCEPTED);
  });

  test('has room again only when the scheduler has answered the commit', async () => {
    let answered = false;
    scheduler.answer = () => {
      if (!answered) throw new Error('not yet');
      return { outcome: CommitReply_Outcome.ACCEPTED, message: '' };
    };
    await scheduler.offer(ACTION, { operationName: 'operations/a', reserved: { slots: 2 } });
    executor.end(0);
    await scheduler.commitOf('operations/a');
    expect((await scheduler.offer(ACTION)).outcome).toBe(Outcome.NO_ROOM);
    answered = true;
    await scheduler.until(() => scheduler.worker.leases.length === 0);
    expect((await scheduler.offer(ACTION)).outcome).toBe(Outcome.ACCEPTED);
  });

  test.each([CommitReply_Outcome.STALE, CommitReply_Outcome.UNKNOWN_OPERATION])(
    'drops a result the scheduler does not want (answer %i)',
    async (outcome) => {
      scheduler.answer = () => ({ outcome, message: 'too late' });
      await scheduler.offer(ACTION, { operationName: 'operations/a' });
      executor.end(0);
      await scheduler.commitOf('operations/a');
      await scheduler.until(() => scheduler.worker.leases.length === 0);
      expect(scheduler.commits).toHaveLength(1);
    },
  );

  test('a cancelled action is committed as such; another epoch is left alone', async () => {
    await scheduler.offer(ACTION, { operationName: 'operations/a', epoch: 2 });
    expect(await scheduler.cancel('operations/a', 1)).toEqual({ found: false });
    expect(await scheduler.cancel('operations/b', 2)).toEqual({ found: false });
    expect(await scheduler.cancel('operations/a', 2)).toEqual({ found: true });
    const { outcome } = await scheduler.commitOf('operations/a');
    expect(outcome).toMatchObject({
      $case: 'response',
      value: { status: { code: 1, message: 'a client cancelled it' } },
    });
  });

  test('draining: takes nothing new, lets what runs finish, and then is gone (R35)', async () => {
    await scheduler.offer(ACTION, { operationName: 'operations/a' });
    const drained = agent.drain({ graceMs: 5000 });
    await scheduler.until(() => scheduler.worker.draining);
    expect(await scheduler.offer(ACTION)).toEqual({
      outcome: Outcome.DRAINING,
      message: 'the worker is leaving',
    });
    executor.end(0);
    await drained;
    expect(scheduler.commits.map(({ outcome }) => outcome?.$case)).toEqual(['response']);
    const seen = scheduler.heartbeats.length;
    await delay(120);
    expect(scheduler.heartbeats).toHaveLength(seen);
  });

  test('what does not finish in time is handed back free of charge (R35)', async () => {
    await scheduler.offer(ACTION, { operationName: 'operations/a' });
    await agent.drain({ graceMs: 50 });
    expect(scheduler.commits.map(({ outcome }) => outcome)).toEqual([
      { $case: 'handback', value: { reason: 'the worker is leaving', free: true } },
    ]);
  });
});
