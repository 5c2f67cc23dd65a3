import { failedPrecondition } from '../../core/error.ts';
import { assembleBpf, type BpfInstruction } from './bpf-assembler.ts';
import { DENIED_SYSTEM_CALLS } from './denied-system-calls.ts';

// Codes of classic BPF: load a word, compare with a constant, return.
const LOAD_WORD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;

// Offsets in struct seccomp_data. Of the 64-bit arguments the lower half stands first.
const NUMBER_AT = 0;
const ARCHITECTURE_AT = 4;
const ARGUMENT_0_AT = 16;
const ARGUMENT_1_AT = 24;

const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const FAIL_WITH = 0x00050000;
const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

const ARCHITECTURE_X86_64 = 0xc000003e;
/** Numbers from here on are those of the x32 ABI: the same calls under other numbers. */
const X32_BIT = 0x40000000;

const IOCTL = 16;
const SOCKET = 41;
const CLONE = 56;
const CLONE3 = 435;

/** Every CLONE_NEW… flag that clone takes: mount, cgroup, uts, ipc, user, pid, net. */
const NAMESPACE_FLAGS = 0x7e020000;
/** Put characters into the terminal's input: TIOCSTI, TIOCLINUX. */
const TERMINAL_INPUT_IOCTLS = [0x5412, 0x541c];
/** Unix, IPv4, IPv6, netlink. Others reach past the network namespace (vsock) or deep into the kernel. */
const SOCKET_FAMILIES = [1, 2, 10, 16];

/**
 * The system call filter of the sandbox, as bwrap's --seccomp takes it. A deny list: refused calls fail with EPERM,
 * so that programs which only try go on. 32-bit programs are killed. FAILED_PRECONDITION on other processors.
 */
export function seccompProgram(architecture: NodeJS.Architecture): Buffer<ArrayBuffer> {
  if (architecture !== 'x64') {
    throw failedPrecondition(
      `the strict sandbox has no system call filter for ${architecture} processors, only for x64; use --sandbox basic`,
    );
  }
  const numbers = Object.values(DENIED_SYSTEM_CALLS);
  return assembleBpf([
    { code: LOAD_WORD, operand: ARCHITECTURE_AT },
    { code: JUMP_EQUAL, operand: ARCHITECTURE_X86_64, whenTrue: 'number', whenFalse: 'kill' },
    { code: RETURN, operand: KILL_PROCESS, label: 'kill' },
    { code: LOAD_WORD, operand: NUMBER_AT, label: 'number' },
    { code: JUMP_AT_LEAST, operand: X32_BIT, whenTrue: 'x32', whenFalse: 'native' },
    { code: RETURN, operand: FAIL_WITH | EPERM, label: 'x32' },
    { code: JUMP_EQUAL, operand: CLONE3, label: 'native', whenTrue: 'clone3', whenFalse: 'not clone3' },
    // Its flags lie in memory, out of a filter's reach; C libraries fall back to clone.
    { code: RETURN, operand: FAIL_WITH | ENOSYS, label: 'clone3' },
    ...argumentChecks(),
    ...numbers.flatMap(denied),
    { code: RETURN, operand: ALLOW, label: `call ${numbers.length}` },
  ]);
}

function argumentChecks(): BpfInstruction[] {
  return [
    { code: JUMP_EQUAL, operand: CLONE, label: 'not clone3', whenTrue: 'clone', whenFalse: 'not clone' },
    { code: LOAD_WORD, operand: ARGUMENT_0_AT, label: 'clone' },
    { code: JUMP_ANY_BIT, operand: NAMESPACE_FLAGS, whenTrue: 'refuse clone', whenFalse: 'allow' },
    { code: RETURN, operand: FAIL_WITH | EPERM, label: 'refuse clone' },
    { code: JUMP_EQUAL, operand: SOCKET, label: 'not clone', whenTrue: 'socket', whenFalse: 'not socket' },
    { code: LOAD_WORD, operand: ARGUMENT_0_AT, label: 'socket' },
    ...SOCKET_FAMILIES.map((family) => ({ code: JUMP_EQUAL, operand: family, whenTrue: 'allow' })),
    { code: RETURN, operand: FAIL_WITH | EAFNOSUPPORT },
    { code: JUMP_EQUAL, operand: IOCTL, label: 'not socket', whenTrue: 'ioctl', whenFalse: 'call 0' },
    { code: LOAD_WORD, operand: ARGUMENT_1_AT, label: 'ioctl' },
    ...TERMINAL_INPUT_IOCTLS.map((request) => ({
      code: JUMP_EQUAL,
      operand: request,
      whenTrue: 'refuse ioctl',
    })),
    { code: RETURN, operand: ALLOW, label: 'allow' },
    { code: RETURN, operand: FAIL_WITH | EPERM, label: 'refuse ioctl' },
  ];
}

function denied(number: number, index: number): BpfInstruction[] {
  return [
    { code: JUMP_EQUAL, operand: number, label: `call ${index}`, whenFalse: `call ${index + 1}` },
    { code: RETURN, operand: FAIL_WITH | EPERM },
  ];
}
