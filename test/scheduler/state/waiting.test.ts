import { expect, test } from 'vitest';
import { ExecutionStage_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { thrown } from '../../setup/rejection.ts';
import { StateBench } from './state-bench.ts';

test('attaching gives how it stands', () => {
  const bench = new StateBench();
  bench.join('w');
  const { name } = bench.execute('a');
  expect(bench.attach(name).stage).toBe(ExecutionStage_Value.QUEUED);
  const offer = bench.accept(bench.offer());
  expect(bench.attach(name)).toMatchObject({
    stage: ExecutionStage_Value.EXECUTING,
    metadata: { worker: 'w' },
  });
  bench.finish(offer);
  expect(bench.attach(name)).toMatchObject({
    stage: ExecutionStage_Value.COMPLETED,
    response: { message: 'ran' },
  });
});

test('joining by name counts as a join, and makes the run as urgent as the joiner', () => {
  const bench = new StateBench();
  bench.execute('other');
  const { name } = bench.execute('a', { priority: 5 });
  bench.send({ kind: 'attach', token: 'joiner', name, joinPriority: -5 });
  expect(bench.state.joinedTotal).toBe(1);
  bench.join('w', { slots: 1 });
  expect(bench.offer().operationName).toBe(name);
});

test('attaching to nothing is NOT_FOUND', () => {
  const error = thrown(() => new StateBench().attach('operations/x'));
  expect([error.code, error.message]).toEqual([
    Code.NOT_FOUND,
    'operation "operations/x" is not known, or was forgotten after its end',
  ]);
});

test('a cancel ends what is queued', () => {
  const bench = new StateBench();
  const { name } = bench.execute('a');
  bench.send({ kind: 'cancel', name, reason: 'enough' });
  expect(bench.record(name).response?.status).toMatchObject({ code: Code.CANCELLED, message: 'enough' });
  expect(bench.state.queuedCount).toBe(0);
  expect(bench.take('cancelLease')).toEqual([]);
  bench.join('w');
  expect(bench.offers()).toEqual([]);
});

test('a cancel stops what runs, until the worker shows that it did', () => {
  const bench = new StateBench();
  bench.join('w', { slots: 1 });
  const { name } = bench.execute('a');
  const offer = bench.accept(bench.offer());
  bench.beat('w');
  bench.send({ kind: 'cancel', name, reason: 'enough' });
  bench.beat('w');
  expect(bench.take('cancelLease').map(({ cancel }) => cancel.epoch)).toEqual([1, 1]);
  bench.execute('b');
  expect(bench.offers()).toEqual([]);
  bench.dropLease(offer);
  bench.beat('w');
  expect(bench.offer().actionDigest?.hash).toBe('b');
});

test('the same action after a cancel is run anew', () => {
  const bench = new StateBench();
  const { name } = bench.execute('a');
  bench.send({ kind: 'cancel', name, reason: 'enough' });
  expect(bench.execute('a').name).not.toBe(name);
});

test('a cancel of what is over changes nothing', () => {
  const bench = new StateBench();
  bench.join('w');
  const { name } = bench.execute('a');
  bench.finish(bench.accept(bench.offer()));
  bench.send({ kind: 'cancel', name, reason: 'enough' });
  expect(bench.record(name).response?.message).toBe('ran');
});

test('only what is finished can be forgotten', () => {
  const bench = new StateBench();
  bench.join('w');
  const { name } = bench.execute('a');
  bench.send({ kind: 'forget', name });
  expect(bench.state.operations.has(name)).toBe(true);
  bench.finish(bench.accept(bench.offer()));
  bench.send({ kind: 'forget', name });
  expect(bench.state.operations.size).toBe(0);
  expect(bench.journal.size).toBe(0);
});

test('many cancelled operations leave nothing behind in the queue', () => {
  const bench = new StateBench();
  bench.execute('stays');
  for (let index = 0; index < 1_000; index += 1) {
    const { name } = bench.execute(`a${index}`);
    bench.send({ kind: 'cancel', name, reason: 'enough' });
  }
  const [platform] = bench.state.queues.values();
  expect(platform?.liveCount).toBe(1);
  expect(platform?.queue.size).toBeLessThan(100);
});

test('progress is shown to those who wait, and only that of the newest lease', () => {
  const bench = new StateBench();
  bench.join('w');
  const { name } = bench.execute('a');
  const { epoch } = bench.accept(bench.offer());
  bench.take('notify');
  const metadata = {
    ...bench.attach(name).metadata,
    worker: 'w',
    executionStartTimestamp: { seconds: 5, nanos: 0 },
  };
  const progress = { operationName: name, epoch, workerId: 'w', metadata };
  bench.send({ kind: 'progress', progress });
  bench.send({ kind: 'progress', progress: { ...progress, epoch: 9 } });
  bench.send({ kind: 'progress', progress: { ...progress, workerId: 'x' } });
  bench.send({ kind: 'progress', progress: { ...progress, operationName: 'x' } });
  expect(bench.take('notify')).toMatchObject([
    { view: { metadata: { executionStartTimestamp: { seconds: 5, nanos: 0 } } } },
  ]);
});
