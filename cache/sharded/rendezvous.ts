import { hash } from 'node:crypto';
import type { HashWords } from '../../core/hash-words.ts';

/** One that keys are shared out to. */
export interface RendezvousNode {
  /** Tells it from the others; the same wherever the order is to be the same. */
  readonly name: string;
  /** Its share, in proportion to the others'. */
  readonly weight: number;
}

interface Seeded<N> {
  readonly node: N;
  readonly high: number;
  readonly low: number;
}

/**
 * Orders nodes by key, weighted highest first (rendezvous hashing): a node that comes or goes moves no key but those it
 * gets or had. Depends on names, weights and the key alone, so every process finds the same order.
 */
export class Rendezvous<N extends RendezvousNode> {
  readonly #nodes: readonly Seeded<N>[];

  constructor(nodes: readonly N[]) {
    this.#nodes = nodes.map((node) => {
      const seed = hash('sha256', node.name, 'buffer');
      return { node, high: seed.readInt32BE(0), low: seed.readInt32BE(4) };
    });
  }

  /** All nodes, the key's own first. */
  order(key: HashWords): N[] {
    return this.#nodes
      .map((seeded) => ({ node: seeded.node, cost: costOf(seeded, key) }))
      .sort((a, b) => a.cost - b.cost || (a.node.name < b.node.name ? -1 : 1))
      .map(({ node }) => node);
  }
}

/** Exponentially distributed with the weight as its rate: the least of several is each one's in proportion to its weight. */
function costOf<N extends RendezvousNode>({ node, high, low }: Seeded<N>, key: HashWords): number {
  const upper = mixed(high ^ (key[0] ?? 0), key[1] ?? 0);
  const lower = mixed(low ^ (key[1] ?? 0), key[0] ?? 0);
  // From 0 to 1, and never 0.
  const share = (upper * 2 ** 21 + (lower >>> 11) + 0.5) / 2 ** 53;
  return -Math.log(share) / node.weight;
}

/** Keys are hashes already; this makes their order with one node tell nothing of that with another. */
function mixed(a: number, b: number): number {
  let word = Math.imul(a ^ (a >>> 16), 0x7feb352d) ^ b;
  word = Math.imul(word ^ (word >>> 15), 0x846ca68b);
  word = Math.imul(word ^ (word >>> 16), 0x7feb352d);
  return (word ^ (word >>> 15)) >>> 0;
}
