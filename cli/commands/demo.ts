import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import type { DemoOptions } from '../demo/demo.ts';
import { collect } from '../parse-option.ts';

const HELP = `
Starts a farm of three workers that is gone afterwards, compiles the CUDA kernels of examples/kernels for sm_80, sm_86
and sm_90 in its sandbox, links them, and does it all again: now every answer comes from the cache. Uses the nvcc it
finds (PATH, CUDA_HOME, /usr/local/cuda); where there is none it brings NVIDIA's wheels from PyPI, about 123 MiB to
download and 340 MiB on disk, once. Where that fails too it compiles C++, and says so. No GPU is needed.

Examples:
  ingot demo
  ingot demo --arch sm_90 --no-download
`;

/** `ingot demo`: see it work. */
export function registerDemo(program: Command, host: CommandHost): void {
  program
    .command('demo')
    .description('start a private farm, compile CUDA kernels on it, and then again from its cache')
    .option('--no-download', 'do not bring a compiler where there is none')
    .option(
      '--data <dir>',
      'keep the farm and the toolchain in this folder (default: the farm in a temporary one)',
    )
    .option('--arch <sm_NN>', 'compile for this architecture; repeat it for more', collect)
    .addHelpText('after', HELP)
    .action(
      host.action<DemoOptions>(async (context, options) => {
        const { demo } = await import('../demo/demo.ts');
        return demo(context, options);
      }),
    );
}
