import type { Command } from 'commander';
import type { ListOptions } from '../blobs/list-directory.ts';
import type { CommandHost } from '../command-context.ts';

const HELP = `
Examples:
  ingot ls 8f3a…/212
  ingot ls -r 8f3a…/212
`;

/** `ingot ls`: what a directory in the CAS holds. */
export function registerLs(program: Command, host: CommandHost): void {
  program
    .command('ls')
    .description('list a directory in the farm by its digest')
    .argument('<digest>', 'HASH/SIZE of a Directory message')
    .option('-r, --recursive', 'with all below it')
    .addHelpText('after', HELP)
    .action(
      host.action<ListOptions>(async (context, options, args) => {
        const { listDirectory } = await import('../blobs/list-directory.ts');
        return listDirectory(context, options, args);
      }),
    );
}
