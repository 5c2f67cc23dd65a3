import { describe, expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { thrown } from '../../setup/rejection.ts';
import { StateBench } from './state-bench.ts';

describe('an operation nobody waits for', () => {
  test('is forgotten after a while in the queue', () => {
    const bench = new StateBench();
    const { name } = bench.execute('a');
    bench.send({ kind: 'detach', name });
    bench.pass(60_000);
    expect(bench.state.operations.has(name)).toBe(true);
    bench.pass(1_000);
    expect(bench.state.operations.has(name)).toBe(false);
    expect(bench.journal.size).toBe(0);
    expect(bench.state.queuedCount).toBe(0);
    expect(thrown(() => bench.attach(name)).code).toBe(Code.NOT_FOUND);
  });

  test('is let run longer, and then stopped', () => {
    const bench = new StateBench({ waiterlessExecutingMs: 100_000 });
    bench.join('a');
    const { name } = bench.execute('a');
    bench.accept(bench.offer());
    bench.send({ kind: 'detach', name });
    bench.pass(99_000);
    expect(bench.state.operations.has(name)).toBe(true);
    bench.pass(2_000);
    expect(bench.state.operations.has(name)).toBe(false);
    expect(bench.take('cancelLease')[0]).toMatchObject({
      workerId: 'a',
      cancel: { operationName: name, epoch: 1, reason: 'no client waits for it any more' },
    });
  });

  test('is kept when somebody comes back, or looks at it', () => {
    const bench = new StateBench({ workerlessMs: 1e9 });
    const { name } = bench.execute('a');
    bench.send({ kind: 'detach', name });
    bench.pass(50_000);
    bench.attach(name);
    bench.send({ kind: 'detach', name });
    bench.pass(50_000);
    bench.attach(name);
    bench.pass(100_000);
    expect(bench.state.operations.has(name)).toBe(true);
  });

  test('has as many waiters as came: one leaving does not count for all', () => {
    const bench = new StateBench({ workerlessMs: 1e9 });
    const { name } = bench.execute('a');
    bench.execute('a');
    bench.send({ kind: 'detach', name });
    bench.pass(100_000);
    expect(bench.state.operations.has(name)).toBe(true);
  });
});

describe('without a worker for it', () => {
  test('an operation waits for a while and then says so', () => {
    const bench = new StateBench();
    const { name } = bench.execute('a');
    bench.pass(60_000);
    expect(bench.take('notify')).toEqual([]);
    bench.pass(1_000);
    expect(bench.record(name).response?.status).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: 'the farm has no workers (waited 60 s for one)',
    });
    expect(bench.take('notify')).toHaveLength(1);
  });

  test('because the last one left, it says which property fails', () => {
    const bench = new StateBench();
    bench.join('a');
    bench.beat('a', { draining: true });
    bench.join('b', { properties: [] });
    const { name } = bench.execute('a', { platform: { OSFamily: 'linux' } });
    bench.pass(62_000, ['b']);
    expect(bench.record(name).response?.status).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message:
        'none of 1 workers can run this action; on the nearest, b, "OSFamily" is none, wanted "linux"; ' +
        'where the hosts stand in for it, say so with --accept OSFamily to ingot up or ingot worker (waited 60 s for one)',
    });
  });

  test.each([
    ['is draining', { draining: true }],
    ['says "the disk is full"', { unhealthyReason: 'the disk is full' }],
  ])('because the one there is takes no work and %s, it does not wait for ever', (why, changes) => {
    const bench = new StateBench();
    bench.join('w');
    bench.beat('w', changes);
    const { name } = bench.execute('a');
    for (let seconds = 0; seconds < 62; seconds += 1) {
      bench.pass(1_000, []);
      bench.beat('w', changes);
    }
    const { status } = bench.record(name).response!;
    expect(status).toMatchObject({
      code: Code.UNAVAILABLE,
      message: `1 worker could run this action, but takes no work: w ${why} (waited 60 s for one)`,
    });
    expect(status?.details).toHaveLength(1);
  });

  test('one that comes in time is used', () => {
    const bench = new StateBench();
    bench.execute('a');
    bench.pass(59_000);
    bench.join('w');
    expect(bench.offers()).toHaveLength(1);
  });

  test('each operation waits its own time', () => {
    const bench = new StateBench();
    bench.execute('early');
    bench.pass(40_000);
    const { name } = bench.execute('late');
    bench.pass(30_000);
    expect(bench.state.queuedCount).toBe(1);
    expect(bench.state.operations.get(name)?.phase).toBe('queued');
  });

  test('one that is only busy is waited for without end', () => {
    const bench = new StateBench();
    bench.join('w', { slots: 1 });
    bench.execute('a');
    bench.accept(bench.offer());
    const { name } = bench.execute('b');
    bench.pass(600_000);
    expect(bench.state.operations.get(name)?.phase).toBe('queued');
  });
});

describe('a lease', () => {
  test('that outlasts the timeout of its action by far is taken back, and not heard again', () => {
    const bench = new StateBench({ leaseOverheadMs: 10_000 });
    bench.join('a');
    const { name } = bench.execute('a', { timeoutMs: 5_000 });
    const offer = bench.accept(bench.offer());
    bench.pass(15_000);
    expect(bench.offers()).toEqual([]);
    bench.pass(1_000);
    expect(bench.take('cancelLease')[0]).toMatchObject({ cancel: { epoch: 1 } });
    expect(bench.record(name).attempts).toMatchObject([
      { reason: 'the worker did not end the action in time' },
    ]);
    const next = bench.offer();
    expect(next.epoch).toBe(2);
    bench.replyTo(bench.commit(offer));
    expect(bench.state.operations.get(name)?.phase).toBe('offered');
  });

  test('of an action without a timeout has the longest there is', () => {
    const bench = new StateBench({ actionTimeoutMaxMs: 20_000, leaseOverheadMs: 1_000 });
    bench.join('a');
    bench.execute('a');
    bench.accept(bench.offer());
    bench.pass(20_500);
    expect(bench.offers()).toEqual([]);
    bench.pass(1_500);
    expect(bench.offers()).toHaveLength(1);
  });
});

describe('finished operations', () => {
  const finishMany = (count: number, limits: object): StateBench => {
    const bench = new StateBench(limits);
    bench.join('w', { slots: 100, cpuMillis: 100_000 });
    for (let index = 0; index < count; index += 1) {
      bench.execute(`a${index}`);
      bench.finish(bench.accept(bench.offer()));
    }
    return bench;
  };

  test('are kept for a while', () => {
    const bench = finishMany(1, { completedKeptMs: 30_000 });
    bench.pass(30_000);
    expect(bench.state.operations.size).toBe(1);
    bench.pass(1_000);
    expect(bench.state.operations.size).toBe(0);
    expect(bench.journal.size).toBe(0);
    expect(bench.state.finished.size).toBe(0);
  });

  test.each([
    ['count', { completedKeptMax: 3 }],
    ['bytes', { completedKeptBytesMax: 30 }],
  ])('are kept up to a limit of %s, the newest', (_, limits) => {
    const bench = finishMany(5, limits);
    bench.send({ kind: 'tick' });
    expect([...bench.state.operations.values()].map(({ record }) => record.actionDigest?.hash)).toEqual([
      'a2',
      'a3',
      'a4',
    ]);
  });
});
