import assert from 'node:assert/strict';

/** One instruction of a classic BPF program; a jump names the labels it goes to, or goes on when it names none. */
export interface BpfInstruction {
  readonly code: number;
  readonly operand: number;
  readonly label?: string;
  readonly whenTrue?: string;
  readonly whenFalse?: string;
}

/** struct sock_filter: a 16-bit code, two 8-bit jump distances, a 32-bit operand. */
const INSTRUCTION_BYTES = 8;
/** The kernel's BPF_MAXINSNS. */
const INSTRUCTIONS_MAX = 4096;
const JUMP_MAX = 255;

/** The program as the kernel takes it, in this machine's (little-endian) byte order. Jumps only go forward. */
export function assembleBpf(program: readonly BpfInstruction[]): Buffer<ArrayBuffer> {
  assert(program.length <= INSTRUCTIONS_MAX, `a BPF program has at most ${INSTRUCTIONS_MAX} instructions`);
  const positions = new Map<string, number>();
  program.forEach(({ label }, index) => {
    if (label === undefined) return;
    assert(!positions.has(label), `BPF label ${label} stands twice`);
    positions.set(label, index);
  });
  const distance = (from: number, label: string | undefined): number => {
    if (label === undefined) return 0;
    const to = positions.get(label);
    assert(to !== undefined, `BPF label ${label} is nowhere`);
    const steps = to - from - 1;
    assert(steps >= 0 && steps <= JUMP_MAX, `BPF jump to ${label} is ${steps} instructions long`);
    return steps;
  };
  const bytes = Buffer.alloc(program.length * INSTRUCTION_BYTES);
  program.forEach(({ code, operand, whenTrue, whenFalse }, index) => {
    const at = index * INSTRUCTION_BYTES;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(distance(index, whenTrue), at + 2);
    bytes.writeUInt8(distance(index, whenFalse), at + 3);
    bytes.writeUInt32LE(operand >>> 0, at + 4);
  });
  return bytes;
}
