import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rendezvous, type RendezvousNode } from '../../../cache/sharded/rendezvous.ts';
import { Digest } from '../../../core/digest.ts';

const KEYS = Array.from({ length: 6000 }, (_, index) => Digest.ofBytes(Buffer.from(`blob ${index}`)).words);
const nodesOf = (names: readonly string[], weight = 1): RendezvousNode[] =>
  names.map((name) => ({ name, weight }));
const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { minLength: 2, maxLength: 8 });

/** Keys of each node, by name. */
function shares(nodes: readonly RendezvousNode[]): Map<string, number> {
  const rendezvous = new Rendezvous(nodes);
  const counts = new Map(nodes.map(({ name }) => [name, 0]));
  for (const key of KEYS) {
    const name = rendezvous.order(key)[0]?.name ?? '';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

describe('Rendezvous', () => {
  it('gives each node its share of the keys', () => {
    fc.assert(
      fc.property(names, (list) => {
        const expected = KEYS.length / list.length;
        // Five standard deviations: one run in a million is beyond.
        const spread = 5 * Math.sqrt(expected);
        for (const count of shares(nodesOf(list)).values()) {
          expect(Math.abs(count - expected)).toBeLessThan(spread);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('gives each node a share in proportion to its weight', () => {
    const counts = shares([
      { name: 'a:8982', weight: 1 },
      { name: 'b:8982', weight: 2 },
      { name: 'c:8982', weight: 3 },
    ]);
    for (const [name, expected] of [
      ['a:8982', KEYS.length / 6],
      ['b:8982', KEYS.length / 3],
      ['c:8982', KEYS.length / 2],
    ] as const) {
      expect(Math.abs((counts.get(name) ?? 0) - expected), name).toBeLessThan(5 * Math.sqrt(expected));
    }
  });

  it('moves only the keys of a node that goes, each to the next in its order', () => {
    fc.assert(
      fc.property(names, fc.nat(), (list, pick) => {
        const gone = list[pick % list.length] ?? '';
        const before = new Rendezvous(nodesOf(list));
        const after = new Rendezvous(nodesOf(list.filter((name) => name !== gone)));
        for (const key of KEYS.slice(0, 500)) {
          const order = before.order(key).map(({ name }) => name);
          const left = after.order(key).map(({ name }) => name);
          expect(left).toEqual(order.filter((name) => name !== gone));
        }
      }),
      { numRuns: 30 },
    );
  });

  it('finds the same order whatever the order in which the nodes are named', () => {
    fc.assert(
      fc.property(names, (list) => {
        const one = new Rendezvous(nodesOf(list));
        const other = new Rendezvous(nodesOf(list.toReversed()));
        for (const key of KEYS.slice(0, 200)) expect(other.order(key)).toEqual(one.order(key));
      }),
      { numRuns: 30 },
    );
  });

  it('keeps its order from release to release: blobs are found by it', () => {
    const rendezvous = new Rendezvous(nodesOf(['a:8982', 'b:8982', 'c:8982']));
    const firsts = KEYS.slice(0, 12).map((key) => rendezvous.order(key)[0]?.name.charAt(0));
    expect(firsts.join('')).toBe('acacabccaabb');
  });
});
