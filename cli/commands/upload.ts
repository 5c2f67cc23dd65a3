import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';

const HELP = `
Prints a line for each path: its digest, HASH/SIZE, and the path. A directory's digest is that of its root Directory
message, as an action's input root has it.

Examples:
  ingot upload model.bin
  ingot upload dataset/ | cut -d ' ' -f 1
`;

/** `ingot upload`: files and directories into the CAS. */
export function registerUpload(program: Command, host: CommandHost): void {
  program
    .command('upload')
    .description('store files and directories in the farm, and print their digests')
    .argument('<path...>', 'files or directories')
    .addHelpText('after', HELP)
    .action(
      host.action(async (context, _options, args) => {
        const { uploadPaths } = await import('../blobs/upload-paths.ts');
        return uploadPaths(context, args);
      }),
    );
}
