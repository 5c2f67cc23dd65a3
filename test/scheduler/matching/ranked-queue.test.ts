import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RankedQueue } from '../../../scheduler/matching/ranked-queue.ts';

interface Entry {
  readonly rank: number;
  readonly sequence: number;
}

function drain(queue: RankedQueue<Entry>): Entry[] {
  const all: Entry[] = [];
  for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) all.push(entry);
  return all;
}

const entries = fc
  .array(fc.integer({ min: -5, max: 5 }), { maxLength: 50 })
  .map((ranks) => ranks.map((rank, sequence) => ({ rank, sequence })));
const inOrder = (all: readonly Entry[]) => all.toSorted((a, b) => a.rank - b.rank || a.sequence - b.sequence);

test('gives entries by rank, and by sequence where ranks are equal', () => {
  fc.assert(
    fc.property(entries, (all) => {
      const queue = new RankedQueue<Entry>();
      for (const entry of all) queue.push(entry);
      expect(queue.size).toBe(all.length);
      expect(drain(queue)).toEqual(inOrder(all));
    }),
  );
});

test('keeps the order of what is retained', () => {
  fc.assert(
    fc.property(entries, (all) => {
      const queue = new RankedQueue<Entry>();
      for (const entry of all) queue.push(entry);
      queue.retain(({ sequence }) => sequence % 2 === 0);
      expect(drain(queue)).toEqual(inOrder(all.filter(({ sequence }) => sequence % 2 === 0)));
    }),
  );
});

test('an empty one has nothing to give', () => {
  const queue = new RankedQueue<Entry>();
  expect(queue.peek()).toBeUndefined();
  expect(queue.pop()).toBeUndefined();
});
