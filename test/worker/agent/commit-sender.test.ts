import { expect, test } from 'vitest';
import { InProcessMessageBus } from '../../../core/bus/in-process-message-bus.ts';
import { Digest } from '../../../core/digest.ts';
import { unavailable } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import {
  DigestFunction_Value,
  ExecuteResponse,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { CommitReply_Outcome } from '../../../proto/gen/ingot/v1/bus.ts';
import { CommitSender } from '../../../worker/agent/commit-sender.ts';
import { BlobUploader } from '../../../worker/output/blob-uploader.ts';
import { StoreRetries } from '../../../worker/store-retries.ts';
import { MemoryBlobStore } from '../../setup/memory-blob-store.ts';
import { FakeScheduler } from '../fake-scheduler.ts';

const LEASE = {
  operationName: 'operations/1',
  epoch: 7,
  slot: 0,
  reserved: { slots: 1, cpuMillis: 0, memoryBytes: 0, gpus: [] },
};
const OPTIONS = { instanceName: 'main', digestFunction: DigestFunction_Value.SHA256 };

function response(message: string) {
  return {
    kind: 'response',
    response: ExecuteResponse.create({ message }),
    uncacheableReason: 'why',
  } as const;
}

async function sender() {
  const bus = new InProcessMessageBus({ logger: silentLogger });
  const store = new MemoryBlobStore();
  const retries = new StoreRetries({ logger: silentLogger, windowMs: 0 });
  const commits = new CommitSender({
    bus,
    uploaderOf: () => new BlobUploader({ blobStore: store, retries }),
    logger: silentLogger,
    subject: 'scheduler.commit',
    workerId: 'w1',
    incarnation: 'i1',
    firstDelayMs: 5,
  });
  return { bus, store, commits };
}

test('repeats the same commit until it is answered', async () => {
  const { bus, commits } = await sender();
  const scheduler = await FakeScheduler.listen(bus);
  let failures = 2;
  scheduler.answer = () => {
    failures -= 1;
    if (failures >= 0) throw unavailable('the scheduler is busy');
    return { outcome: CommitReply_Outcome.STALE, message: 'too late' };
  };
  const reply = await commits.send(LEASE, response('done'), OPTIONS);
  expect(reply).toEqual({ outcome: CommitReply_Outcome.STALE, message: 'too late' });
  expect(scheduler.commits).toHaveLength(3);
  expect(new Set(scheduler.commits.map((commit) => JSON.stringify(commit))).size).toBe(1);
  expect(scheduler.commits[0]).toMatchObject({
    epoch: 7,
    workerId: 'w1',
    incarnation: 'i1',
    uncacheableReason: 'why',
  });
});

test('goes on while nobody listens', async () => {
  const { bus, commits } = await sender();
  const sent = commits.send(LEASE, { kind: 'handback', reason: 'full', free: true }, OPTIONS);
  const scheduler = await FakeScheduler.listen(bus);
  await sent;
  expect(scheduler.commits[0]?.outcome).toEqual({ $case: 'handback', value: { reason: 'full', free: true } });
});

test('a response too large for the bus goes by the store', async () => {
  const { bus, store, commits } = await sender();
  const scheduler = await FakeScheduler.listen(bus);
  const large = response('x'.repeat(600_000));
  await commits.send(LEASE, large, OPTIONS);
  const outcome = scheduler.commits[0]!.outcome!;
  const expected = Digest.ofBytes(ExecuteResponse.encode(large.response).finish());
  expect(outcome).toEqual({ $case: 'responseDigest', value: expected.toMessage() });
  expect(await store.findMissing([expected])).toEqual([]);
});
