import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import type { RoleFlags } from '../roles/process-config.ts';
import {
  addRoleFlags,
  BUS_PREFIX_FLAG,
  CACHE_FLAGS,
  FAIL_FLAG,
  GRPC_FLAG,
  HTTP_FLAG,
  NATS_FLAG,
  PROCESS_FLAGS,
  SCHEDULER_FLAGS,
  SECURITY_FLAGS,
  WORKER_FLAGS,
} from '../roles/role-flags.ts';

const HELP = `
Listens on 127.0.0.1:8980 (gRPC) and 127.0.0.1:8981 (HTTP) unless told otherwise. Prints the addresses, the flags for
Bazel, the sandbox level and the toolchains, then one line that begins with "ready". SIGTERM or Ctrl-C lets running
actions finish and ends with 0; a second Ctrl-C ends at once.

Examples:
  ingot up
  ingot up --data /srv/ingot --grpc 0.0.0.0:8980 --http 0.0.0.0:8981
  ingot up --accept container-image          actions that name an image run on this host
`;

/** `ingot up`: all roles in one process. */
export function registerUp(program: Command, host: CommandHost): void {
  const command = program
    .command('up')
    .description('start a whole farm in one process, its data in one folder');
  addRoleFlags(
    command,
    [GRPC_FLAG, HTTP_FLAG, NATS_FLAG],
    PROCESS_FLAGS,
    SECURITY_FLAGS,
    WORKER_FLAGS,
    SCHEDULER_FLAGS,
    CACHE_FLAGS,
    [BUS_PREFIX_FLAG, FAIL_FLAG],
  )
    .addHelpText('after', HELP)
    .action(
      host.action<RoleFlags>(async (context, flags) => {
        const { runUp } = await import('../roles/up-role.ts');
        return runUp(context, flags);
      }),
    );
}
