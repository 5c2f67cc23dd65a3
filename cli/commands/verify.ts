import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import type { VerifyFlags } from '../verify/run-verify.ts';

const HELP = `
The cache must be stopped. Every blob is read and hashed, every action result is looked through for blobs that are
missing. What is missing here and may be in the object store behind the cache is counted, and is no problem. Ends with 1
and a list when something is wrong; nothing is changed then, unless --repair is given.

Examples:
  ingot verify --data /srv/ingot
  ingot verify --data /srv/ingot --repair
`;

/** `ingot verify`: whether what a cache has on disk is sound. */
export function registerVerify(program: Command, host: CommandHost): void {
  program
    .command('verify')
    .description('check all blobs and action results of a stopped cache')
    .option('--data <dir>', 'the data folder, as for `ingot up` or `ingot cache`')
    .option('--repair', 'take out damaged blobs and drop results that lack blobs')
    .addHelpText('after', HELP)
    .action(
      host.action<VerifyFlags>(async (context, options) => {
        const { runVerify } = await import('../verify/run-verify.ts');
        return runVerify(context, options);
      }),
    );
}
