import type { CommandVariable, SandboxMount, SandboxSymlink } from '../../proto/gen/ingot/v1/launcher.ts';
import { SANDBOX_HOST_NAME, SANDBOX_USER_ID } from './sandbox.ts';

/** Everything a sandbox is made of. Paths of this machine are absolute and free of symbolic links of an action. */
export interface BwrapPlan {
  readonly imageMounts: readonly SandboxMount[];
  readonly imageSymlinks: readonly SandboxSymlink[];
  /** Toolchains and devices of this one action. */
  readonly mounts: readonly SandboxMount[];
  /** The lease's input root on this machine: the only thing of it that can be written to. */
  readonly inputRootFolder: string;
  readonly inputRootPath: string;
  /** Relative to the input root. */
  readonly workingDirectory: string;
  readonly environment: readonly CommandVariable[];
  /** Of /tmp and of /dev/shm, each; 0 leaves it to the kernel: half the machine's memory. */
  readonly tmpBytes: number;
  /** Open descriptor of the system call filter; undefined for none. */
  readonly seccompFd: number | undefined;
  readonly statusFd: number;
  readonly arguments: readonly string[];
}

/**
 * The arguments of bwrap for one action. All mounts come before the input root and none below it: a mount point made
 * through a link of the action's would land on this machine (bubblewrap before 0.12).
 */
export function bwrapArguments(plan: BwrapPlan): string[] {
  const { seccompFd, inputRootPath, workingDirectory } = plan;
  return [
    ...['--unshare-all', '--unshare-user', '--disable-userns', '--die-with-parent', '--new-session'],
    ...['--cap-drop', 'ALL', '--clearenv', '--hostname', SANDBOX_HOST_NAME],
    ...['--uid', String(SANDBOX_USER_ID), '--gid', String(SANDBOX_USER_ID)],
    ...plan.imageMounts.flatMap(readOnly),
    ...plan.imageSymlinks.flatMap(({ path, target }) => ['--symlink', target, path]),
    ...plan.mounts.filter(({ device }) => !device).flatMap(readOnly),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...plan.mounts
      .filter(({ device }) => device)
      .flatMap(({ hostPath, sandboxPath }) => ['--dev-bind', hostPath, sandboxPath]),
    ...tmpfs('/dev/shm', plan.tmpBytes),
    ...['--remount-ro', '/dev'],
    ...tmpfs('/tmp', plan.tmpBytes),
    ...['--dir', '/var', '--symlink', '../tmp', '/var/tmp'],
    ...['--bind', plan.inputRootFolder, inputRootPath],
    ...['--chdir', workingDirectory === '' ? inputRootPath : `${inputRootPath}/${workingDirectory}`],
    ...['--remount-ro', '/'],
    ...plan.environment.flatMap(({ name, value }) => ['--setenv', name, value]),
    ...(seccompFd === undefined ? [] : ['--seccomp', String(seccompFd)]),
    ...['--json-status-fd', String(plan.statusFd), '--', ...plan.arguments],
  ];
}

function readOnly({ hostPath, sandboxPath }: SandboxMount): string[] {
  return ['--ro-bind', hostPath, sandboxPath];
}

function tmpfs(path: string, bytes: number): string[] {
  return [...(bytes > 0 ? ['--size', String(bytes)] : []), '--perms', '1777', '--tmpfs', path];
}
