import { join } from 'node:path';
import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type { RunCommand, SandboxMount } from '../../proto/gen/ingot/v1/launcher.ts';
import { bwrapArguments } from '../sandbox/bwrap-arguments.ts';
import { type CommandLine, commandLineAs, environmentOf, LAUNCH_ENVIRONMENT } from './command-line.ts';
import { SECCOMP_FD, STATUS_FD } from './command-run.ts';
import type { LauncherSetup } from './launcher-setup.ts';
import type { LeaseFolder } from './lease-folder.ts';

/** The command inside the sandbox of the worker's level, and the folder to start it from. */
export function sandboxCommandLine(
  setup: LauncherSetup,
  request: RunCommand,
  folder: LeaseFolder,
): { readonly commandLine: CommandLine; readonly workingFolder: string } {
  const { bwrap, setpriv, configuration } = setup;
  if (bwrap === undefined) return plainCommandLine(request, folder);
  const inSandbox: CommandLine = {
    file: bwrap,
    arguments: bwrapArguments({
      imageMounts: configuration.imageMounts.map((mount) => staged(setup, mount)),
      imageSymlinks: configuration.imageSymlinks,
      mounts: request.mounts.map((mount) => staged(setup, allowed(setup, mount))),
      inputRootFolder: folder.root,
      inputRootPath: request.inputRootPath,
      workingDirectory: request.workingDirectory,
      environment: request.environment,
      tmpBytes: request.limits?.tmpBytes ?? 0,
      seccompFd: setup.seccompFile === undefined ? undefined : SECCOMP_FD,
      statusFd: STATUS_FD,
      arguments: request.arguments,
    }),
    environment: LAUNCH_ENVIRONMENT,
  };
  const owner = setup.owners[request.slot];
  const commandLine =
    setpriv === undefined || owner === undefined
      ? inSandbox
      : commandLineAs(inSandbox, { setpriv, ...owner });
  return { commandLine, workingFolder: '/' };
}

function plainCommandLine(
  request: RunCommand,
  folder: LeaseFolder,
): { readonly commandLine: CommandLine; readonly workingFolder: string } {
  const [file = '', ...rest] = request.arguments;
  // Temporary files belong with the lease, not among everybody's.
  const environment = { HOME: folder.tmp, TMPDIR: folder.tmp, ...environmentOf(request.environment) };
  return {
    commandLine: { file, arguments: rest, environment },
    workingFolder: join(folder.root, request.workingDirectory),
  };
}

/** Devices are chosen by the agent's inventory; folders must have been named when the launcher was configured. */
function allowed({ configuration }: LauncherSetup, mount: SandboxMount): SandboxMount {
  const known = mount.device
    ? mount.hostPath.startsWith('/dev/')
    : configuration.mountSources.includes(mount.hostPath);
  if (known) return mount;
  throw invalidArgument(`mount ${quote(mount.hostPath)} is not among the folders this worker shows`);
}

function staged({ stage }: LauncherSetup, mount: SandboxMount): SandboxMount {
  return { ...mount, hostPath: stage.resolve(mount.hostPath) };
}
