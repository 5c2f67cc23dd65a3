import { expect, test } from 'vitest';
import { bwrapArguments } from '../../../worker/sandbox/bwrap-arguments.ts';

const PLAN = {
  imageMounts: [{ hostPath: '/usr', sandboxPath: '/usr', device: false }],
  imageSymlinks: [{ path: '/bin', target: 'usr/bin' }],
  mounts: [
    { hostPath: '/data/cuda/bin', sandboxPath: '/opt/ingot/cuda/bin', device: false },
    { hostPath: '/dev/nvidia3', sandboxPath: '/dev/nvidia3', device: true },
  ],
  inputRootFolder: '/data/work/lease-1/root',
  inputRootPath: '/ingot/work',
  workingDirectory: 'a/b',
  environment: [{ name: 'A', value: 'b c' }],
  tmpBytes: 4096,
  seccompFd: 3,
  statusFd: 4,
  arguments: ['--not-an-option', 'x'],
};

test('the input root is the last mount, and the only one that can be written to besides tmpfs', () => {
  const args = bwrapArguments(PLAN);
  const mountsAt = args.flatMap((arg, index) =>
    /^--(ro-bind|dev-bind|bind|tmpfs|proc|dev|symlink)$/.test(arg) ? [index] : [],
  );
  expect(args.slice(mountsAt.at(-1), mountsAt.at(-1)! + 3)).toEqual([
    '--bind',
    '/data/work/lease-1/root',
    '/ingot/work',
  ]);
  expect(args.filter((arg) => arg === '--bind')).toHaveLength(1);
  expect(args.lastIndexOf('--remount-ro')).toBeGreaterThan(mountsAt.at(-1)!);
});

test('devices are bound between the making of /dev and its closing', () => {
  const args = bwrapArguments(PLAN);
  const device = args.indexOf('/dev/nvidia3');
  expect(device).toBeGreaterThan(args.indexOf('--dev'));
  expect(device).toBeLessThan(args.indexOf('--remount-ro'));
});

test('the command stands behind the end of options, with nothing added', () => {
  const args = bwrapArguments(PLAN);
  expect(args.slice(args.indexOf('--') + 1)).toEqual(['--not-an-option', 'x']);
  expect(args).toContain('--clearenv');
  expect(args.join(' ')).toContain('--chdir /ingot/work/a/b');
  expect(args.join(' ')).toContain('--setenv A b c');
});

test('without a filter or a size there is no option for them', () => {
  const args = bwrapArguments({ ...PLAN, seccompFd: undefined, tmpBytes: 0, workingDirectory: '' });
  expect(args).not.toContain('--seccomp');
  expect(args).not.toContain('--size');
  expect(args.join(' ')).toContain('--chdir /ingot/work --remount-ro /');
});
