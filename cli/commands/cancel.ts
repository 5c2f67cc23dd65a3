import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';

/** `ingot cancel`: stops operations. */
export function registerCancel(program: Command, host: CommandHost): void {
  program
    .command('cancel')
    .description('stop operations; whoever waits for them is told')
    .argument('<operation...>', 'ids as `ingot status` shows them, or whole names')
    .action(
      host.action(async (context, _options, args) => {
        const { cancelOperations } = await import('../farm/cancel-operations.ts');
        return cancelOperations(context, args);
      }),
    );
}
