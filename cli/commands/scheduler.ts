import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import type { RoleFlags } from '../roles/process-config.ts';
import {
  addRoleFlags,
  BUS_PREFIX_FLAG,
  CACHE_ADDRESS_FLAGS,
  DRAIN_FLAG,
  FAIL_FLAG,
  GRPC_FLAG,
  NATS_FLAG,
  PROCESS_FLAGS,
  SCHEDULER_FLAGS,
  SECURITY_FLAGS,
} from '../roles/role-flags.ts';

const HELP = `
Example:
  ingot scheduler --data /srv/ingot --grpc 0.0.0.0:8980 --cache cache:8982 --nats nats://nats:4222
`;

/** `ingot scheduler`: the scheduler role by itself. */
export function registerScheduler(program: Command, host: CommandHost): void {
  const command = program
    .command('scheduler')
    .description(
      'serve a farm to clients: gRPC on 127.0.0.1:8980 unless told otherwise, the cache passed on',
    );
  addRoleFlags(
    command,
    [GRPC_FLAG, ...CACHE_ADDRESS_FLAGS, NATS_FLAG, BUS_PREFIX_FLAG],
    PROCESS_FLAGS,
    SECURITY_FLAGS,
    SCHEDULER_FLAGS,
    [DRAIN_FLAG, FAIL_FLAG],
  )
    .addHelpText('after', HELP)
    .action(
      host.action<RoleFlags>(async (context, flags) => {
        const { runSchedulerRole } = await import('../roles/scheduler-role.ts');
        return runSchedulerRole(context, flags);
      }),
    );
}
