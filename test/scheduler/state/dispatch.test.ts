import { describe, expect, test } from 'vitest';
import { OfferReply_Outcome } from '../../../proto/gen/ingot/v1/bus.ts';
import { gpu } from '../matching/workers.ts';
import { StateBench } from './state-bench.ts';

describe('an offer', () => {
  test('carries what the worker needs, and the record has the lease before it goes out', () => {
    const bench = new StateBench();
    bench.join('w');
    const { name } = bench.execute('a', { instanceName: 'main', platform: { cpu: '2' } });
    const offer = bench.offer();
    const id = name.slice('operations/'.length);
    expect(offer).toMatchObject({
      operationName: name,
      epoch: 1,
      attempt: 1,
      instanceName: 'main',
      actionDigest: { hash: 'a', sizeBytes: 100 },
      reserved: { slots: 1, cpuMillis: 2000, memoryBytes: 0, gpus: [] },
      stdoutStreamName: `main/logs/${id}/stdout`,
      stderrStreamName: `main/logs/${id}/stderr`,
      workerId: 'w',
      incarnation: 'w-1',
    });
    expect(bench.record(name)).toMatchObject({
      epoch: 1,
      lease: { workerId: 'w', incarnation: 'w-1', epoch: 1 },
    });
  });

  test('of a later epoch has log streams of its own', () => {
    const bench = new StateBench();
    bench.join('w');
    const { name } = bench.execute('a');
    bench.accept(bench.offer());
    bench.restart('w');
    const id = name.slice('operations/'.length);
    expect(bench.offer()).toMatchObject({ epoch: 2, attempt: 2, stdoutStreamName: `logs/${id}.2/stdout` });
  });
});

describe('order', () => {
  const firstOfTwo = (before: number, after: number, apartMs: number): string => {
    const bench = new StateBench();
    bench.execute('before', { priority: before });
    bench.nowMs += apartMs;
    bench.execute('after', { priority: after });
    bench.join('w', { slots: 1 });
    return bench.offer().actionDigest?.hash ?? '';
  };

  test.each([
    ['first come, first served', 0, 0, 1_000, 'before'],
    ['the more urgent first', 0, -5, 1_000, 'after'],
    ['the less urgent first, once it has waited as long as the difference weighs', 0, -5, 5_001, 'before'],
    ['the more urgent first among those that came together', 1, 0, 0, 'after'],
  ])('%s', (_, before, after, apartMs, first) => {
    expect(firstOfTwo(before, after, apartMs)).toBe(first);
  });

  test('holds across platforms', () => {
    const bench = new StateBench();
    for (const [index, cpu] of ['1', '2', '1', '2'].entries()) {
      bench.nowMs += 1;
      bench.execute(`a${index}`, { platform: { cpu } });
    }
    bench.join('w', { cpuMillis: 4000 });
    expect(bench.offers().map(({ actionDigest }) => actionDigest?.hash)).toEqual(['a0', 'a1', 'a2']);
  });

  test('something that does not fit now does not hold up what does', () => {
    const bench = new StateBench();
    bench.join('w', { slots: 2, cpuMillis: 2000 });
    bench.execute('one');
    bench.execute('big', { platform: { cpu: '2' } });
    bench.execute('small');
    expect(bench.offers().map(({ actionDigest }) => actionDigest?.hash)).toEqual(['one', 'small']);
  });
});

describe('a large action behind a stream of small ones', () => {
  /** Two small actions at a time, a new one whenever one ends; gives how long the large one waited. */
  function waitOfLarge(limits: { reserveAfterMs: number }): number | undefined {
    const bench = new StateBench(limits);
    bench.join('w', { slots: 2, cpuMillis: 2000, gpus: [gpu('a', 'sm_80'), gpu('b', 'sm_80')] });
    const small = { platform: { 'gpu.count': '1' } };
    bench.execute('small-0', small);
    bench.execute('small-1', small);
    const running = bench.offers().map((offer) => bench.accept(offer));
    bench.execute('large', { platform: { 'gpu.count': '2' } });
    for (let turn = 0; turn < 60; turn += 1) {
      bench.execute(`small-${turn + 2}`, small);
      bench.pass(1_000);
      const oldest = running.shift();
      if (oldest !== undefined) bench.finish(oldest);
      bench.beat('w');
      for (const offer of bench.offers()) {
        if (offer.actionDigest?.hash === 'large') return turn;
        running.push(bench.accept(offer));
      }
    }
    return undefined;
  }

  test('gets a worker kept free for it after a while', () => {
    expect(waitOfLarge({ reserveAfterMs: 10_000 })).toBeLessThan(15);
  });

  test('would wait for ever otherwise', () => {
    expect(waitOfLarge({ reserveAfterMs: 1e9 })).toBeUndefined();
  });
});

describe('room', () => {
  test('is not given away twice, and is free again when the worker shows that the lease is over', () => {
    const bench = new StateBench();
    bench.join('w', { slots: 1 });
    bench.execute('a');
    bench.execute('b');
    const offer = bench.accept(bench.offer());
    bench.beat('w');
    bench.finish(offer);
    expect(bench.offers()).toEqual([]);
    bench.beat('w');
    expect(bench.offer().actionDigest?.hash).toBe('b');
  });

  test('taken by a lease that is not ours is not offered', () => {
    const bench = new StateBench();
    bench.join('w', { slots: 1 });
    bench.beat('w', { leases: [{ operationName: 'operations/of-an-earlier-life', epoch: 3 }] });
    bench.execute('a');
    expect(bench.offers()).toEqual([]);
    expect(bench.take('cancelLease').map(({ workerId, cancel }) => [workerId, cancel.operationName])).toEqual(
      [['w', 'operations/of-an-earlier-life']],
    );
    bench.beat('w');
    expect(bench.offers()).toHaveLength(1);
  });

  test('of a draining, unwell or paused worker is not offered', () => {
    const bench = new StateBench();
    bench.join('w');
    bench.beat('w', { draining: true });
    bench.execute('a');
    bench.beat('w', { unhealthyReason: 'hot' });
    expect(bench.offers()).toEqual([]);
    bench.beat('w');
    bench.reply(bench.offer(), OfferReply_Outcome.NO_ROOM);
    expect(bench.offers()).toEqual([]);
    bench.pass(1_500);
    expect(bench.offers()).toHaveLength(1);
  });
});
