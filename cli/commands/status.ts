import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';

const HELP = `
Examples:
  ingot status
  ingot status --endpoint build.example:8980 --json
`;

/** `ingot status`: the farm's workers and operations. */
export function registerStatus(program: Command, host: CommandHost): void {
  program
    .command('status')
    .description('show the farm: its workers, what they offer, what runs')
    .addHelpText('after', HELP)
    .action(
      host.action(async (context) => {
        const { showStatus } = await import('../farm/show-status.ts');
        return showStatus(context);
      }),
    );
}
