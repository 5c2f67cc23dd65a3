import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import type { RoleFlags } from '../roles/process-config.ts';
import {
  addRoleFlags,
  CACHE_FLAGS,
  DRAIN_FLAG,
  FAIL_FLAG,
  GRPC_FLAG,
  HTTP_FLAG,
  PROCESS_FLAGS,
  SECURITY_FLAGS,
} from '../roles/role-flags.ts';

const HELP = `
Example:
  ingot cache --data /srv/ingot --grpc 0.0.0.0:8982 --http 0.0.0.0:8981
`;

/** `ingot cache`: the cache role by itself. */
export function registerCache(program: Command, host: CommandHost): void {
  const command = program
    .command('cache')
    .description(
      'serve the cache of a farm: gRPC on 127.0.0.1:8982, HTTP on 127.0.0.1:8981 unless told otherwise',
    );
  addRoleFlags(command, [GRPC_FLAG, HTTP_FLAG], PROCESS_FLAGS, SECURITY_FLAGS, CACHE_FLAGS, [
    DRAIN_FLAG,
    FAIL_FLAG,
  ])
    .addHelpText('after', HELP)
    .action(
      host.action<RoleFlags>(async (context, flags) => {
        const { runCacheRole } = await import('../roles/cache-role.ts');
        return runCacheRole(context, flags);
      }),
    );
}
