import { describe, expect, test } from 'vitest';
import { ExecutionStage_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { CommitReply_Outcome as Outcome } from '../../../proto/gen/ingot/v1/bus.ts';
import { thrown } from '../../setup/rejection.ts';
import { executeResponse } from '../execute-response.ts';
import { StateBench } from './state-bench.ts';

function running(limits = {}) {
  const bench = new StateBench(limits);
  bench.join('a');
  const { name } = bench.execute('action');
  const offer = bench.accept(bench.offer());
  bench.beat('a');
  bench.take('notify');
  return { bench, name, offer };
}

const handback = (free: boolean) =>
  ({ outcome: { $case: 'handback', value: { reason: 'scratch is full', free } } }) as const;

describe('a result', () => {
  test('is filed, then written down, then told', () => {
    const { bench, name, offer } = running();
    const token = bench.commit(offer);
    expect(bench.take('prepareCommit')).toMatchObject([{ record: { name }, commit: { epoch: 1 } }]);
    expect(bench.take('replyCommit')).toEqual([]);
    expect(bench.take('notify')).toEqual([]);
    bench.prepared(offer, executeResponse('made'));
    expect(bench.record(name)).toMatchObject({ response: { message: 'made' }, committedBy: 'a a-1 1' });
    expect(bench.record(name).lease).toBeUndefined();
    expect(bench.replyTo(token).outcome).toBe(Outcome.ACCEPTED);
    expect(bench.take('notify')).toMatchObject([
      { view: { name, stage: ExecutionStage_Value.COMPLETED, response: { message: 'made' } } },
    ]);
  });

  test('sent twice is filed once, and both are answered', () => {
    const { bench, offer } = running();
    const tokens = [bench.commit(offer), bench.commit(offer)];
    expect(bench.take('prepareCommit')).toHaveLength(1);
    bench.prepared(offer);
    const replies = bench.take('replyCommit');
    expect(replies.map(({ token }) => token)).toEqual(tokens);
    expect(replies.map(({ reply }) => 'outcome' in reply && reply.outcome)).toEqual([
      Outcome.ACCEPTED,
      Outcome.ACCEPTED,
    ]);
  });

  test('sent again after it was accepted is accepted again, and from anyone else is stale', () => {
    const { bench, offer } = running();
    bench.finish(offer);
    expect(bench.replyTo(bench.commit(offer)).outcome).toBe(Outcome.ACCEPTED);
    expect(bench.replyTo(bench.commit({ ...offer, workerId: 'b' }))).toEqual({
      outcome: Outcome.STALE,
      message: 'the operation has ended otherwise',
    });
    expect(bench.take('prepareCommit')).toHaveLength(1);
  });

  test('before the yes was heard counts as well', () => {
    const bench = new StateBench();
    bench.join('a');
    bench.execute('action');
    const offer = bench.offer();
    expect(bench.finish(offer).outcome).toBe(Outcome.ACCEPTED);
    expect(bench.state.offered.size).toBe(0);
  });

  test('of the newest epoch counts although its worker was given up', () => {
    const bench = new StateBench({ silenceMs: 4_000 });
    bench.join('a');
    const { name } = bench.execute('action');
    const offer = bench.accept(bench.offer());
    bench.pass(10_000, []);
    expect(bench.state.operations.get(name)?.phase).toBe('queued');
    expect(bench.finish(offer).outcome).toBe(Outcome.ACCEPTED);
    expect(bench.state.queuedCount).toBe(0);
  });

  test.each([
    ['an old epoch', { epoch: 0 }, Outcome.STALE, 'epoch 0 is not the newest, which is 1'],
    ['another worker', { workerId: 'b' }, Outcome.STALE, 'epoch 1 is not the newest, which is 1'],
    ['another incarnation', { incarnation: 'x' }, Outcome.STALE, 'epoch 1 is not the newest, which is 1'],
    [
      'no operation we know',
      { operationName: 'x' },
      Outcome.UNKNOWN_OPERATION,
      'the operation is not known, or was forgotten',
    ],
  ])('of %s is refused', (_, changes, outcome, message) => {
    const { bench, offer } = running();
    expect(bench.replyTo(bench.commit({ ...offer, ...changes }))).toEqual({ outcome, message });
    expect(bench.take('prepareCommit')).toEqual([]);
  });

  test('cannot be overtaken: neither a lost worker nor a cancel takes the operation away while it is filed', () => {
    const { bench, name, offer } = running();
    const token = bench.commit(offer);
    bench.join('b');
    bench.restart('a');
    bench.send({ kind: 'cancel', name, reason: 'enough' });
    expect(bench.offers()).toEqual([]);
    bench.prepared(offer);
    expect(bench.replyTo(token).outcome).toBe(Outcome.ACCEPTED);
    expect(bench.record(name).response?.message).toBe('ran');
  });
});

describe('a result that cannot be filed', () => {
  const failed = (retry: boolean) =>
    ({ kind: 'commitFailed', epoch: 1, reason: 'it went wrong', retry }) as const;

  test('for now is committed again by its worker', () => {
    const { bench, name, offer } = running();
    const token = bench.commit(offer);
    bench.send({ ...failed(true), operationName: name });
    const error = thrown(() => bench.replyTo(token));
    expect([error.code, error.message]).toEqual([Code.UNAVAILABLE, `commit of ${name}: it went wrong`]);
    expect(bench.finish(offer).outcome).toBe(Outcome.ACCEPTED);
  });

  test('for good is an attempt, and its worker may drop it', () => {
    const { bench, name, offer } = running();
    const token = bench.commit(offer);
    bench.send({ ...failed(false), operationName: name });
    expect(bench.replyTo(token)).toEqual({ outcome: Outcome.STALE, message: 'it went wrong' });
    expect(bench.record(name).attempts).toMatchObject([{ reason: 'its result was refused: it went wrong' }]);
    expect(bench.offer()).toMatchObject({ epoch: 2, attempt: 2 });
    expect(bench.replyTo(bench.commit(offer)).outcome).toBe(Outcome.STALE);
  });

  test('is tried elsewhere when its worker has gone meanwhile', () => {
    const { bench, name, offer } = running();
    bench.commit(offer);
    bench.restart('a');
    bench.send({ ...failed(true), operationName: name });
    expect(bench.offer()).toMatchObject({ epoch: 2, attempt: 2 });
  });

  test('ends with a cancel that came meanwhile', () => {
    const { bench, name, offer } = running();
    bench.commit(offer);
    bench.send({ kind: 'cancel', name, reason: 'enough' });
    bench.send({ ...failed(true), operationName: name });
    expect(bench.record(name).response?.status).toMatchObject({ code: Code.CANCELLED, message: 'enough' });
  });

  test('matters no more once the operation has another epoch', () => {
    const { bench, name } = running();
    bench.send({ ...failed(false), operationName: name });
    expect(bench.state.operations.get(name)?.phase).toBe('executing');
  });
});

describe('a handback', () => {
  test('is an attempt, and the next is made elsewhere', () => {
    const { bench, name, offer } = running();
    bench.join('b');
    expect(bench.replyTo(bench.commit(offer, handback(false))).outcome).toBe(Outcome.ACCEPTED);
    expect(bench.offer()).toMatchObject({ workerId: 'b', epoch: 2, attempt: 2 });
    expect(bench.record(name).attempts).toMatchObject([
      { workerId: 'a', reason: 'handed back: scratch is full' },
    ]);
  });

  test('is none when it is free', () => {
    const { bench, name, offer } = running();
    bench.beat('a', { draining: true });
    bench.commit(offer, handback(true));
    expect(bench.record(name).attempts).toEqual([]);
    expect(bench.state.operations.get(name)?.phase).toBe('queued');
  });

  test('sent again is accepted again and changes nothing', () => {
    const { bench, name, offer } = running();
    bench.beat('a', { draining: true });
    bench.commit(offer, handback(false));
    expect(bench.replyTo(bench.commit(offer, handback(false))).outcome).toBe(Outcome.ACCEPTED);
    expect(bench.record(name).attempts).toHaveLength(1);
    expect(bench.replyTo(bench.commit(offer)).outcome).toBe(Outcome.STALE);
  });

  test('after all attempts is the end, and worth another try later', () => {
    const { bench, name, offer } = running();
    bench.commit(offer, handback(false));
    for (let attempt = 2; attempt <= 3; attempt += 1) {
      bench.beat('a', { leases: [] });
      bench.commit(bench.offer(), handback(false));
    }
    const { status } = bench.record(name).response!;
    expect(status?.code).toBe(Code.UNAVAILABLE);
    expect(status?.message).toMatch(
      /^the action failed on its workers 3 times \(1\. a: handed back: scratch is full; 2\. a: /,
    );
    expect(status?.details).toHaveLength(1);
  });

  test('is kept with as much of its reason as a person reads', () => {
    const { bench, name, offer } = running();
    const value = { reason: 'x'.repeat(100_000), free: false };
    bench.commit(offer, { outcome: { $case: 'handback', value } });
    expect(bench.record(name).attempts[0]?.reason).toHaveLength(1_000);
  });

  test('a commit of nothing is one', () => {
    const { bench, name, offer } = running();
    bench.commit(offer, { outcome: undefined });
    expect(bench.record(name).attempts).toMatchObject([{ reason: 'handed back: it committed nothing' }]);
  });
});
