import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import type { RoleFlags } from '../roles/process-config.ts';
import {
  addRoleFlags,
  BUS_PREFIX_FLAG,
  CACHE_ADDRESS_FLAGS,
  NATS_FLAG,
  PROCESS_FLAGS,
  WORKER_FLAGS,
} from '../roles/role-flags.ts';

const HELP = `
Examples:
  ingot worker --cache cache:8982 --nats nats://nats:4222 --slots 8
  ingot worker --pool gpu --property zone=a --accept container-image
`;

/** `ingot worker`: the worker role by itself. */
export function registerWorker(program: Command, host: CommandHost): void {
  const command = program.command('worker').description('run actions of a farm on this machine');
  addRoleFlags(command, [...CACHE_ADDRESS_FLAGS, NATS_FLAG, BUS_PREFIX_FLAG], PROCESS_FLAGS, WORKER_FLAGS)
    .addHelpText('after', HELP)
    .action(
      host.action<RoleFlags>(async (context, flags) => {
        const { runWorkerRole } = await import('../roles/worker-role.ts');
        return runWorkerRole(context, flags);
      }),
    );
}
