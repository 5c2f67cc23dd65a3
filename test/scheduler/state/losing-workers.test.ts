import { describe, expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { StateBench } from './state-bench.ts';

/** A bench with one action running on worker `a`; `b` has room. */
function running() {
  const bench = new StateBench();
  bench.join('a');
  const { name } = bench.execute('action');
  const offer = bench.accept(bench.offer());
  bench.beat('a');
  bench.join('b');
  return { bench, name, offer };
}

describe('silence', () => {
  test('of three heartbeats while others are heard ends the leases of a worker', () => {
    const { bench, name } = running();
    bench.pass(3_500, ['b']);
    expect(bench.offers()).toEqual([]);
    bench.pass(1_000, ['b']);
    expect(bench.offer()).toMatchObject({ workerId: 'b', epoch: 2, attempt: 2 });
    expect(bench.record(name).attempts).toMatchObject([{ reason: 'the worker was not heard for 4.0 s' }]);
    expect(bench.take('log').filter(({ message }) => message === 'worker lost')).toHaveLength(1);
  });

  test('of everyone means that the bus is away: leases are kept', () => {
    const { bench } = running();
    bench.pass(60_000, []);
    expect(bench.state.workers.size).toBe(2);
    bench.beat('b');
    bench.send({ kind: 'tick' });
    expect(bench.state.workers.size).toBe(2);
    bench.pass(3_000);
    expect(bench.offers()).toEqual([]);
  });

  test('of everyone for too long ends them all', () => {
    const { bench, name } = running();
    bench.pass(125_000, []);
    expect(bench.state.workers.size).toBe(0);
    expect(bench.state.operations.get(name)?.phase).toBe('queued');
  });

  test('after the bus came back is counted anew', () => {
    const { bench } = running();
    bench.pass(30_000, []);
    bench.pass(3_000, ['b']);
    expect(bench.state.workers.has('a')).toBe(true);
    bench.pass(2_000, ['b']);
    expect(bench.state.workers.has('a')).toBe(false);
  });

  test('while this process stood still is not held against anyone', () => {
    const { bench } = running();
    bench.nowMs += 10_000;
    bench.send({ kind: 'tick' });
    bench.beat('b');
    bench.send({ kind: 'tick' });
    expect(bench.state.workers.size).toBe(2);
  });

  test('of a worker that said it leaves and has nothing left is not waited out', () => {
    const bench = new StateBench();
    bench.join('a');
    bench.beat('a', { draining: true });
    bench.pass(4_000, []);
    expect(bench.state.workers.size).toBe(0);
  });

  test('is measured by what the worker says of its heartbeats', () => {
    const bench = new StateBench();
    bench.join('slow');
    bench.beat('slow', { heartbeatInterval: { seconds: 10, nanos: 0 } });
    bench.join('b');
    bench.pass(34_000, ['b']);
    expect(bench.state.workers.has('slow')).toBe(true);
    bench.pass(2_000, ['b']);
    expect(bench.state.workers.has('slow')).toBe(false);
  });
});

test('wall clocks may say what they like', () => {
  const { bench } = running();
  for (const jumpMs of [3.6e6, -7.2e6, 3.15e11]) {
    bench.wallMs += jumpMs;
    bench.pass(2_000);
  }
  expect(bench.state.workers.size).toBe(2);
  expect(bench.offers()).toEqual([]);
});

test('an action that kills its worker every time fails with its history, and spares the others', () => {
  const bench = new StateBench();
  bench.join('a');
  const { name } = bench.execute('poison');
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    const offer = bench.accept(bench.offer());
    expect(offer.attempt).toBe(attempt);
    bench.beat('a');
    bench.restart('a');
  }
  expect(bench.offers()).toEqual([]);
  const status = bench.record(name).response?.status;
  expect(status?.code).toBe(Code.INTERNAL);
  expect(status?.message).toBe(
    'the action failed on its workers 3 times (1. a: the worker restarted; 2. a: the worker restarted; 3. a: the worker restarted)',
  );
  expect(bench.take('notify').at(-1)?.view.response?.status?.code).toBe(Code.INTERNAL);
  bench.execute('harmless');
  expect(bench.offers()).toHaveLength(1);
});

test('a second attempt goes elsewhere if it can, and its clients see the first', () => {
  const { bench } = running();
  bench.restart('a');
  bench.take('notify');
  bench.accept(bench.offer());
  const [{ view } = { view: undefined }] = bench.take('notify').slice(-1);
  expect(view?.metadata).toMatchObject({ worker: 'b' });
  expect(view?.metadata.auxiliaryMetadata.map(({ typeUrl }) => typeUrl)).toEqual([
    'type.googleapis.com/ingot.v1.Attempt',
  ]);
});
