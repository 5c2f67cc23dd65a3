import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import type { AddToolchainOptions } from '../toolchain/add-toolchain.ts';
import type { ListToolchainsOptions } from '../toolchain/list-toolchains.ts';

const ADD_HELP = `
Without --from the compiler comes from NVIDIA's wheels on PyPI, by this machine's own pip as it is set up: about
123 MiB to download, 340 MiB on disk, no GPU or driver needed. It is tried out before it is put in place; Ctrl-C leaves
nothing behind. VERSION is 13.x, by default 13.5.

Examples:
  ingot toolchain add cuda
  ingot toolchain add cuda 13.0
  ingot toolchain add cuda --from /usr/local/cuda
`;

/** `ingot toolchain add` and `ingot toolchain ls`: the compilers that workers can mount into a sandbox. */
export function registerToolchain(program: Command, host: CommandHost): void {
  const toolchain = program
    .command('toolchain')
    .description('the compilers that workers of this machine offer');
  const dataFlag = ['--data <dir>', 'the data folder, as for `ingot up`'] as const;

  toolchain
    .command('add')
    .description('download a toolchain, or take one of this machine')
    .argument('<name>', 'cuda')
    .argument('[version]', 'as in 13.5')
    .option(...dataFlag)
    .option('--from <dir>', 'take the CUDA that is installed in this folder')
    .option('--python <program>', 'the Python whose pip is used', 'python3')
    .addHelpText('after', ADD_HELP)
    .action(
      host.action<AddToolchainOptions>(async (context, options, args) => {
        const { addToolchain } = await import('../toolchain/add-toolchain.ts');
        return addToolchain(context, options, args);
      }),
    );

  toolchain
    .command('ls')
    .description('list the toolchains, each checked to be whole')
    .option(...dataFlag)
    .action(
      host.action<ListToolchainsOptions>(async (context, options) => {
        const { showToolchains } = await import('../toolchain/list-toolchains.ts');
        return showToolchains(context, options);
      }),
    );
}
