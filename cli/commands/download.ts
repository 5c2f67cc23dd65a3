import type { Command } from 'commander';
import type { DownloadOptions } from '../blobs/download-digest.ts';
import type { CommandHost } from '../command-context.ts';

const HELP = `
Without a flag the digest is a file's. The destination is replaced in one step, once all of it is here.

Examples:
  ingot download 5891b5b5…/6 hello.txt
  ingot download --directory 8f3a…/212 dataset
`;

/** `ingot download`: a blob or a directory out of the CAS. */
export function registerDownload(program: Command, host: CommandHost): void {
  program
    .command('download')
    .description('fetch a file or a directory from the farm by its digest')
    .argument('<digest>', 'HASH/SIZE')
    .argument('<destination>', 'the path to write')
    .option(
      '-d, --directory',
      "the digest is a Directory message's, as `ingot upload` prints for a directory",
    )
    .option('-t, --tree', "the digest is a Tree message's, as output directories in action results have")
    .option('-x, --executable', 'make the file executable')
    .option('-f, --force', 'replace a directory that has something in it')
    .addHelpText('after', HELP)
    .action(
      host.action<DownloadOptions>(async (context, options, args) => {
        const { downloadDigest } = await import('../blobs/download-digest.ts');
        return downloadDigest(context, options, args);
      }),
    );
}
