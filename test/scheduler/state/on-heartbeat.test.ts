import { describe, expect, test } from 'vitest';
import { OfferReply_Outcome } from '../../../proto/gen/ingot/v1/bus.ts';
import { StateBench } from './state-bench.ts';

/** A bench with one action running on worker `a`, and an idle worker `b`. */
function running() {
  const bench = new StateBench();
  bench.join('a');
  const { name } = bench.execute('action');
  const offer = bench.accept(bench.offer());
  bench.join('b');
  bench.beat('a');
  return { bench, name, offer };
}

describe('a heartbeat', () => {
  test('older than the last one of its incarnation is dropped', () => {
    const bench = new StateBench();
    bench.join('w');
    bench.beat('w');
    bench.beat('w', { sequence: 2, draining: true });
    expect(bench.state.workers.get('w')?.heartbeat?.draining).toBe(false);
  });

  test('of an incarnation known to be dead is dropped', () => {
    const bench = new StateBench();
    bench.join('w');
    bench.restart('w');
    bench.beat('w', { incarnation: 'w-1', sequence: 99 });
    expect(bench.state.workers.get('w')?.incarnation).toBe('w-1+');
  });

  test('that shows a lease stands for a lost yes', () => {
    const bench = new StateBench();
    bench.join('w');
    const { name } = bench.execute('a');
    const { epoch } = bench.offer();
    bench.workers.get('w')?.leases.push({ operationName: name, epoch });
    bench.beat('w');
    expect(bench.state.operations.get(name)?.phase).toBe('executing');
    expect(bench.state.offered.size).toBe(0);
  });

  test('of a new incarnation ends what the old one had, as an attempt', () => {
    const { bench, name } = running();
    bench.restart('a');
    const offer = bench.offer();
    expect([offer.workerId, offer.epoch, offer.attempt]).toEqual(['b', 2, 2]);
    expect(bench.record(name).attempts).toMatchObject([
      { workerId: 'a', epoch: 1, reason: 'the worker restarted' },
    ]);
  });
});

describe('a lease that heartbeats do not show', () => {
  test('is not missed at once: the heartbeat may be older than the yes', () => {
    const bench = new StateBench();
    bench.join('w');
    bench.execute('a');
    bench.reply(bench.offer(), OfferReply_Outcome.ACCEPTED);
    bench.nowMs += 100;
    bench.beat('w');
    expect(bench.offers()).toEqual([]);
  });

  test('is offered again after a while, without counting as an attempt', () => {
    const bench = new StateBench();
    bench.join('w');
    const { name } = bench.execute('a');
    bench.reply(bench.offer(), OfferReply_Outcome.ACCEPTED);
    bench.pass(4_000);
    const offer = bench.offer();
    expect([offer.epoch, offer.attempt]).toEqual([2, 1]);
    expect(bench.record(name).attempts).toEqual([]);
  });

  test('though they have before is offered again at once', () => {
    const { bench, offer } = running();
    bench.dropLease(offer);
    bench.beat('a');
    expect(bench.offer().epoch).toBe(2);
  });
});

describe('a lease thought lost', () => {
  test('goes on when its worker shows it again before anyone else has it', () => {
    const bench = new StateBench({ silenceMs: 5_000 });
    bench.join('a');
    const { name } = bench.execute('action');
    bench.accept(bench.offer());
    bench.pass(8_000, []);
    expect(bench.state.workers.size).toBe(0);
    expect(bench.record(name).attempts).toHaveLength(1);
    bench.beat('a');
    expect(bench.state.operations.get(name)?.phase).toBe('executing');
    expect(bench.record(name)).toMatchObject({ attempts: [], lease: { workerId: 'a', epoch: 1 } });
    expect(bench.offers()).toEqual([]);
  });

  test('is cancelled when somebody else has it meanwhile', () => {
    const { bench, offer } = running();
    bench.pass(5_000, ['b']);
    expect(bench.offer().workerId).toBe('b');
    bench.beat('a');
    expect(bench.take('cancelLease')).toMatchObject([
      { workerId: 'a', cancel: { operationName: offer.operationName, epoch: 1 } },
    ]);
  });

  test('is not taken up where its room is given away', () => {
    const bench = new StateBench({ silenceMs: 5_000 });
    bench.join('a', { slots: 1 });
    const { name } = bench.execute('action');
    bench.accept(bench.offer());
    bench.execute('other', { priority: -1000 });
    bench.pass(8_000, []);
    bench.beat('a', { leases: [] });
    expect(bench.offer().actionDigest?.hash).toBe('other');
    bench.beat('a');
    expect(bench.state.operations.get(name)?.phase).toBe('queued');
  });

  test('is not taken up after it was given back', () => {
    const bench = new StateBench();
    bench.join('a');
    const { name } = bench.execute('action');
    const offer = bench.accept(bench.offer());
    bench.beat('a');
    bench.beat('a', { draining: true });
    bench.commit(offer, { outcome: { $case: 'handback', value: { reason: 'leaving', free: true } } });
    bench.beat('a', { draining: true });
    expect(bench.state.operations.get(name)?.phase).toBe('queued');
    expect(bench.take('cancelLease')).toEqual([]);
  });
});

test('an epoch from the future moves ours on, so that the next is newer than all', () => {
  const bench = new StateBench();
  const { name } = bench.execute('a');
  bench.join('w');
  bench.reply(bench.offer(), OfferReply_Outcome.DRAINING);
  bench.beat('w', { leases: [{ operationName: name, epoch: 7 }] });
  expect(bench.take('cancelLease')).toMatchObject([{ cancel: { operationName: name, epoch: 7 } }]);
  bench.pass(2_000);
  expect(bench.offer().epoch).toBe(8);
});
