import { describe, expect, test } from 'vitest';
import { Offer, OfferReply_Outcome as Outcome, type Resources } from '../../../proto/gen/ingot/v1/bus.ts';
import { LeaseTable } from '../../../worker/agent/lease-table.ts';

const GPU = { id: 'gpu-0', arch: 'sm_90', memoryBytes: 1000, model: 'm', unhealthyReason: '' };
const CAPACITY: Resources = { slots: 2, cpuMillis: 2000, memoryBytes: 1000, gpus: [GPU] };

function offer(operationName: string, epoch = 1, reserved: Partial<Resources> = {}): Offer {
  return Offer.create({
    operationName,
    epoch,
    reserved: { slots: 1, cpuMillis: 0, memoryBytes: 0, gpus: [], ...reserved },
  });
}

describe('LeaseTable', () => {
  test('gives each lease a slot of its own and the freed one to the next', () => {
    const table = new LeaseTable(CAPACITY);
    const a = table.decide(offer('a')).lease!;
    const b = table.decide(offer('b')).lease!;
    expect([a.slot, b.slot]).toEqual([0, 1]);
    table.end(a);
    expect(table.decide(offer('c')).lease?.slot).toBe(0);
  });

  test('accepts the same offer again without a second lease', () => {
    const table = new LeaseTable(CAPACITY);
    table.decide(offer('a', 3));
    expect(table.decide(offer('a', 3))).toEqual({ outcome: Outcome.ACCEPTED, message: '' });
    expect(table.leases).toHaveLength(1);
  });

  test('refuses another epoch of an operation it runs', () => {
    const table = new LeaseTable(CAPACITY);
    table.decide(offer('a', 3));
    expect(table.decide(offer('a', 4))).toEqual({
      outcome: Outcome.ALREADY_LEASED,
      message: 'epoch 3 of the operation runs here',
    });
  });

  test('refuses an epoch that has ended here and accepts a newer one', () => {
    const table = new LeaseTable(CAPACITY);
    table.end(table.decide(offer('a', 3)).lease!);
    expect(table.decide(offer('a', 3))).toEqual({
      outcome: Outcome.ALREADY_LEASED,
      message: 'epoch 3 of the operation has ended here',
    });
    expect(table.decide(offer('a', 4)).outcome).toBe(Outcome.ACCEPTED);
  });

  test.each<[string, Partial<Resources>, string]>([
    ['slots', { slots: 3 }, '3 slots are reserved and 1 are free'],
    ['cores', { cpuMillis: 1500 }, '1500 thousandths of a core are reserved and 1000 are free'],
    ['memory', { memoryBytes: 501 }, '501 bytes of memory are reserved and 500 are free'],
    ['a GPU that is leased', { gpus: [GPU] }, 'GPU gpu-0 is leased'],
    ['a GPU that is not there', { gpus: [{ ...GPU, id: 'gpu-9' }] }, 'there is no GPU gpu-9'],
  ])('has no room for more %s than are free', (_, reserved, message) => {
    const table = new LeaseTable(CAPACITY);
    table.decide(offer('a', 1, { cpuMillis: 1000, memoryBytes: 500, gpus: [GPU] }));
    expect(table.decide(offer('b', 1, reserved))).toEqual({ outcome: Outcome.NO_ROOM, message });
  });

  test('has no room without a slot, and refuses an offer that reserves nothing', () => {
    const table = new LeaseTable({ ...CAPACITY, slots: 1 });
    expect(table.decide(Offer.create({ operationName: 'x', epoch: 1 }))).toEqual({
      outcome: Outcome.REFUSED,
      message: 'the offer reserves nothing',
    });
    table.decide(offer('a'));
    expect(table.decide(offer('b'))).toEqual({ outcome: Outcome.NO_ROOM, message: 'every slot is taken' });
  });
});
