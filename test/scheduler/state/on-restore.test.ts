import { describe, expect, test } from 'vitest';
import { CommitReply_Outcome as Outcome } from '../../../proto/gen/ingot/v1/bus.ts';
import { StateBench } from './state-bench.ts';

/** One action running on `a`, two queued behind it, one finished; then the scheduler starts anew. */
function restarted() {
  const bench = new StateBench();
  bench.join('a', { slots: 1 });
  const done = bench.execute('done').name;
  bench.finish(bench.accept(bench.offer()));
  bench.beat('a');
  const running = bench.execute('running').name;
  const offer = bench.accept(bench.offer());
  bench.beat('a');
  const queued = ['one', 'two'].map((actionName) => {
    bench.wallMs += 1;
    return bench.execute(actionName).name;
  });
  bench.restartScheduler();
  return { bench, done, running, offer, queued };
}

describe('after a restart', () => {
  test('what was running goes on with its lease as soon as its worker is heard', () => {
    const { bench, running } = restarted();
    bench.beat('a');
    expect(bench.offers()).toEqual([]);
    expect(bench.state.operations.get(running)?.phase).toBe('executing');
    expect(bench.state.workers.get('a')?.inUse.slots).toBe(1);
  });

  test('its result counts, also when it comes before the first heartbeat', () => {
    const { bench, offer } = restarted();
    expect(bench.finish(offer).outcome).toBe(Outcome.ACCEPTED);
  });

  test('a result that was accepted before is accepted again', () => {
    const { bench, done } = restarted();
    const commit = { operationName: done, epoch: 1, workerId: 'a', incarnation: 'a-1' };
    const token = bench.commit({ ...bench.record(done), ...commit } as never);
    expect(bench.replyTo(token).outcome).toBe(Outcome.ACCEPTED);
    expect(bench.take('prepareCommit')).toEqual([]);
  });

  test('what was queued is queued in the same order, and known by name', () => {
    const { bench, queued, offer, done } = restarted();
    for (const name of queued) expect(bench.attach(name).name).toBe(name);
    expect(bench.attach(done).response?.message).toBe('ran');
    bench.finish(offer);
    for (const name of queued) {
      bench.beat('a');
      const next = bench.accept(bench.offer());
      expect(next.operationName).toBe(name);
      bench.finish(next);
    }
  });

  test('an action under way is joined as before', () => {
    const { bench, running } = restarted();
    expect(bench.execute('running').name).toBe(running);
  });

  test('a lease its worker does not have is offered again at once, with a newer epoch and as no attempt', () => {
    const { bench, running, offer } = restarted();
    bench.dropLease(offer);
    bench.beat('a');
    expect(bench.offer()).toMatchObject({ operationName: running, epoch: 2, attempt: 1 });
  });

  test('a lease of a worker that restarted too is offered again, as an attempt', () => {
    const { bench, running } = restarted();
    bench.restart('a');
    expect(bench.offer()).toMatchObject({ operationName: running, epoch: 2, attempt: 2 });
  });

  test('a lease of a worker that stays away is offered to others after a while', () => {
    const { bench, running } = restarted();
    bench.join('b', { slots: 3 });
    expect(bench.offers().map(({ operationName }) => operationName)).not.toContain(running);
    bench.pass(29_000, ['b']);
    expect(bench.offers().map(({ operationName }) => operationName)).not.toContain(running);
    bench.pass(3_000, ['b']);
    expect(bench.state.operations.get(running)?.record.attempts).toHaveLength(1);
  });

  test('epochs go on rising', () => {
    const { bench, running } = restarted();
    bench.restart('a');
    bench.accept(bench.offer());
    bench.restartScheduler();
    bench.restart('a');
    expect(bench.offer()).toMatchObject({ operationName: running, epoch: 3, attempt: 3 });
  });

  test('what no client comes back for is forgotten', () => {
    const { bench, queued } = restarted();
    bench.pass(61_000, []);
    for (const name of queued) expect(bench.state.operations.has(name)).toBe(false);
  });
});
