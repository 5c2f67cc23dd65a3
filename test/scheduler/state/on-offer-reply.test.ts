import { describe, expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { OfferReply_Outcome as Outcome } from '../../../proto/gen/ingot/v1/bus.ts';
import { StateBench } from './state-bench.ts';

function offered(limits = {}) {
  const bench = new StateBench(limits);
  bench.join('a');
  const { name } = bench.execute('action');
  return { bench, name, offer: bench.offer() };
}

test('a yes means that it executes', () => {
  const { bench, name, offer } = offered();
  bench.accept(offer);
  expect(bench.state.operations.get(name)?.phase).toBe('executing');
  expect(bench.take('notify').map(({ view }) => view.metadata.worker)).toEqual(['a']);
});

describe('no reply', () => {
  test('sends the same offer again, and then takes it back without counting it', () => {
    const { bench, name, offer } = offered();
    for (let again = 0; again < 2; again += 1) {
      bench.reply(offer, undefined);
      expect(bench.offers()).toEqual([]);
      bench.pass(1_000);
      expect(bench.offer()).toEqual(offer);
    }
    bench.reply(offer, undefined);
    bench.pass(1_000, []);
    expect(bench.state.operations.get(name)).toMatchObject({ phase: 'queued', declines: 1 });
    expect(bench.record(name).attempts).toEqual([]);
  });

  test('keeps the room until the worker shows that it does not have it', () => {
    const { bench, offer } = offered({ offerTriesMax: 1, declinePauseMs: 60_000 });
    bench.reply(offer, undefined);
    bench.pass(1_000, []);
    expect(bench.state.workers.get('a')?.inUse.slots).toBe(1);
    bench.pass(1_500);
    expect(bench.state.workers.get('a')?.inUse.slots).toBe(0);
  });

  test('is made good by the worker showing the lease', () => {
    const { bench, name, offer } = offered({ offerTriesMax: 1 });
    bench.reply(offer, undefined);
    bench.pass(1_000, []);
    bench.workers.get('a')?.leases.push({ operationName: name, epoch: 1 });
    bench.beat('a');
    expect(bench.state.operations.get(name)?.phase).toBe('executing');
    expect(bench.state.workers.get('a')?.inUse.slots).toBe(1);
  });
});

describe('a no', () => {
  test.each([['NO_ROOM'], ['DRAINING'], ['ALREADY_LEASED'], ['REFUSED'], ['OUTCOME_UNSPECIFIED']] as const)(
    '%s frees the room, and leaves the worker alone for a while',
    (outcome) => {
      const { bench, name, offer } = offered();
      bench.reply(offer, Outcome[outcome], 'because');
      expect(bench.state.operations.get(name)?.phase).toBe('queued');
      expect(bench.state.workers.get('a')?.inUse.slots).toBe(0);
      expect(bench.offers()).toEqual([]);
      bench.pass(1_500);
      expect(bench.offer().epoch).toBe(2);
      expect(bench.record(name).attempts).toEqual([]);
    },
  );

  test('goes to another worker at once', () => {
    const { bench, offer } = offered();
    bench.join('b');
    bench.reply(offer, Outcome.REFUSED);
    expect(bench.offer().workerId).toBe('b');
  });

  test('too often ends the operation, with the last reason', () => {
    const { bench, name, offer } = offered({ declinesMax: 2 });
    bench.reply(offer, Outcome.REFUSED, 'meant for another');
    for (let again = 0; again < 2; again += 1) {
      bench.pass(1_500);
      bench.reply(bench.offer(), Outcome.REFUSED, 'meant for another');
    }
    const { status } = bench.record(name).response!;
    expect([status?.code, status?.message]).toEqual([
      Code.UNAVAILABLE,
      '3 offers of the action came to nothing; the last: the worker declined the offer: meant for another',
    ]);
    expect(status?.details).toHaveLength(1);
  });

  test('for want of room is never too often', () => {
    const { bench, name, offer } = offered({ declinesMax: 0 });
    bench.reply(offer, Outcome.NO_ROOM);
    for (let again = 0; again < 5; again += 1) {
      bench.pass(1_500);
      bench.reply(bench.offer(), Outcome.NO_ROOM);
    }
    expect(bench.state.operations.get(name)?.phase).toBe('queued');
  });
});

describe('a late reply', () => {
  test('of yes to an offer that somebody else has since is answered with a cancel', () => {
    const { bench, offer } = offered();
    bench.join('b');
    bench.reply(offer, Outcome.REFUSED);
    bench.accept(bench.offer());
    bench.reply(offer, Outcome.ACCEPTED);
    expect(bench.take('cancelLease')).toMatchObject([{ workerId: 'a', cancel: { epoch: 1 } }]);
  });

  test('of no to an offer that is over changes nothing', () => {
    const { bench, name, offer } = offered();
    bench.accept(offer);
    bench.reply(offer, Outcome.NO_ROOM);
    expect(bench.state.operations.get(name)?.phase).toBe('executing');
  });
});
