import { describe, expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { DENIED_SYSTEM_CALLS } from '../../../worker/sandbox/denied-system-calls.ts';
import { seccompProgram } from '../../../worker/sandbox/seccomp.ts';
import { thrown } from '../../setup/rejection.ts';

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const X86_64 = 0xc000003e;
const errno = (code: number): number => 0x00050000 | code;

/** Runs the program as the kernel would, on one system call. */
function decide(call: {
  architecture?: number;
  number: number;
  argument0?: number;
  argument1?: number;
}): number {
  const { architecture = X86_64, number, argument0 = 0, argument1 = 0 } = call;
  const data = new Map([
    [0, number],
    [4, architecture],
    [16, argument0],
    [24, argument1],
  ]);
  const program = seccompProgram('x64');
  let accumulator = 0;
  for (let at = 0; at < program.byteLength; at += 8) {
    const code = program.readUInt16LE(at);
    const operand = program.readUInt32LE(at + 4);
    if (code === 0x06) return operand;
    if (code === 0x20) {
      accumulator = data.get(operand)! >>> 0;
      continue;
    }
    const holds =
      code === 0x15
        ? accumulator === operand
        : code === 0x35
          ? accumulator >= operand
          : (accumulator & operand) !== 0;
    at += 8 * program.readUInt8(at + (holds ? 2 : 3));
  }
  throw new Error('the program has no end');
}

describe('seccompProgram', () => {
  test.each(Object.entries(DENIED_SYSTEM_CALLS))('%s is refused', (_, number) => {
    expect(decide({ number })).toBe(errno(1));
  });

  test('what programs live by is allowed', () => {
    // read, write, openat, execve, fork, futex, memfd_create, getrandom, and the newest there is.
    for (const number of [0, 1, 257, 59, 57, 202, 319, 318, 470]) expect(decide({ number })).toBe(ALLOW);
  });

  test.each([
    ['a thread', 0x3d0f00, ALLOW],
    ['a process', 0x11, ALLOW],
    ['a user namespace', 0x10000011, errno(1)],
    ['a mount namespace', 0x00020011, errno(1)],
    ['a network namespace', 0x40000011, errno(1)],
    ['a pid namespace', 0x20000011, errno(1)],
  ])('clone of %s', (_, flags, expected) => {
    expect(decide({ number: 56, argument0: flags })).toBe(expected);
  });

  test('clone3 is not there, so that libraries use clone', () => {
    expect(decide({ number: 435 })).toBe(errno(38));
  });

  test.each([
    ['unix', 1, ALLOW],
    ['IPv4', 2, ALLOW],
    ['IPv6', 10, ALLOW],
    ['netlink', 16, ALLOW],
    ['packet', 17, errno(97)],
    ['kernel crypto', 38, errno(97)],
    ['vsock', 40, errno(97)],
  ])('%s sockets', (_, family, expected) => {
    expect(decide({ number: 41, argument0: family })).toBe(expected);
  });

  test('nothing is typed into a terminal', () => {
    expect(decide({ number: 16, argument1: 0x5412 })).toBe(errno(1));
    expect(decide({ number: 16, argument1: 0x541c })).toBe(errno(1));
    expect(decide({ number: 16, argument1: 0x5401 })).toBe(ALLOW);
  });

  test('other kinds of system calls have no way round', () => {
    expect(decide({ number: 0x40000000 + 101 })).toBe(errno(1));
    expect(decide({ number: 26, architecture: 0x40000003 })).toBe(KILL);
  });

  test('says so where there is no filter for the processor', () => {
    expect(thrown(() => seccompProgram('arm64'))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message:
        'the strict sandbox has no system call filter for arm64 processors, only for x64; use --sandbox basic',
    });
  });
});
