/** Bits of each octet in the Huffman code of HPACK (RFC 7541, appendix B); the last one is EOS. */
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/** The symbol that stands for the end; it is in no string. */
export const END_OF_STRING = 256;

const SYMBOLS = END_OF_STRING + 1;
const BITS_PER_STEP = 4;
const STEPS = 1 << BITS_PER_STEP;

/** A node of the code's tree: where each bit leads. Leaves carry their symbol. */
interface Node {
  readonly next: (Node | undefined)[];
  symbol: number;
  /** All bits on the way here are ones, and fewer than eight: a string may end here. */
  readonly mayEnd: boolean;
  number: number;
}

function node(mayEnd: boolean): Node {
  return { next: [], symbol: -1, mayEnd, number: -1 };
}

/** The code is canonical: the codes of one length follow each other in the order of the symbols. */
function buildTree(): Node {
  const root = node(true);
  const order = Array.from({ length: SYMBOLS }, (_, symbol) => symbol).sort(
    (a, b) => bitsOf(a) - bitsOf(b) || a - b,
  );
  let code = 0;
  let bits = 0;
  for (const symbol of order) {
    code <<= bitsOf(symbol) - bits;
    bits = bitsOf(symbol);
    insert(root, code, bits, symbol);
    code++;
  }
  return root;
}

function insert(root: Node, code: number, bits: number, symbol: number): void {
  let at = root;
  for (let shift = bits - 1; shift >= 0; shift--) {
    const bit = (code >>> shift) & 1;
    const depth = bits - shift;
    at.next[bit] ??= node(at.mayEnd && bit === 1 && depth < 8);
    at = at.next[bit];
  }
  at.symbol = symbol;
}

function bitsOf(symbol: number): number {
  return CODE_BITS[symbol] ?? 0;
}

/** What four bits do in each state: `next << 9 | hasSymbol << 8 | symbol`, or -1 where EOS would be reached. */
export interface HuffmanStates {
  readonly steps: Int32Array;
  /** 1 for the states in which a string may end: the rest is padding. */
  readonly mayEnd: Uint8Array;
}

/** Builds the decoder's table: a state for each inner node of the tree, and sixteen steps from each. */
export function buildHuffmanStates(): HuffmanStates {
  const root = buildTree();
  const inner: Node[] = [];
  const visit = (at: Node): void => {
    if (at.symbol >= 0) return;
    at.number = inner.push(at) - 1;
    for (const next of at.next) if (next !== undefined) visit(next);
  };
  visit(root);
  const steps = new Int32Array(inner.length * STEPS);
  for (const from of inner) {
    for (let bits = 0; bits < STEPS; bits++) steps[from.number * STEPS + bits] = step(root, from, bits);
  }
  return { steps, mayEnd: Uint8Array.from(inner, ({ mayEnd }) => (mayEnd ? 1 : 0)) };
}

function step(root: Node, from: Node, bits: number): number {
  let at = from;
  let symbol = -1;
  for (let shift = BITS_PER_STEP - 1; shift >= 0; shift--) {
    const next = at.next[(bits >>> shift) & 1];
    if (next === undefined || next.symbol === END_OF_STRING) return -1;
    at = next;
    if (at.symbol >= 0) {
      symbol = at.symbol;
      at = root;
    }
  }
  return (at.number << 9) | (symbol >= 0 ? 0x100 | symbol : 0);
}
