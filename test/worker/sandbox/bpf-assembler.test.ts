import { expect, test } from 'vitest';
import { assembleBpf } from '../../../worker/sandbox/bpf-assembler.ts';

test('writes code, jump distances and operand as the kernel reads them', () => {
  const program = assembleBpf([
    { code: 0x20, operand: 4 },
    { code: 0x15, operand: 0xc000003e, whenTrue: 'end' },
    { code: 0x06, operand: 0x80000000 },
    { code: 0x06, operand: 0x7fff0000, label: 'end' },
  ]);
  expect(program.toString('hex').match(/.{16}/g)).toEqual([
    '2000000004000000',
    '150001003e0000c0',
    '0600000000000080',
    '060000000000ff7f',
  ]);
});

test.each([
  ['a label that is nowhere', [{ code: 5, operand: 0, whenTrue: 'x' }], 'BPF label x is nowhere'],
  [
    'a jump back',
    [
      { code: 6, operand: 0, label: 'x' },
      { code: 5, operand: 0, whenTrue: 'x' },
    ],
    'BPF jump to x is -2 instructions long',
  ],
  [
    'a label twice',
    [
      { code: 6, operand: 0, label: 'x' },
      { code: 6, operand: 0, label: 'x' },
    ],
    'BPF label x stands twice',
  ],
])('refuses %s', (_, program, message) => {
  expect(() => assembleBpf(program)).toThrow(message);
});
