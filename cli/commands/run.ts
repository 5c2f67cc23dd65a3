import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import { collect } from '../parse-option.ts';
import type { RunOptions } from '../run/run-options.ts';

const HELP = `
The command runs on a worker, in a directory that holds the inputs and nothing else. Paths of inputs and outputs are
relative to the directory ingot is started in; an input directory is taken with all it holds. The action's stdout and
stderr are shown as they come, outputs are brought back to the same paths, and the exit code is the command's.

The compilers are part of the question: ingot adds the platform property \`image=\` (and \`toolchain=\`, where the
command line mentions one of its tools such as nvcc) as the farm's workers announce them. --verbose shows what was added,
and --platform image=… or toolchain=… chooses by hand.

Examples:
  ingot run -- uname -a
  ingot run --input hello.c --output hello -- cc hello.c -o hello
  ingot run --input examples/saxpy --output out/saxpy.sm_90.cubin -- \\
    nvcc -cubin -arch=sm_90 examples/saxpy/saxpy.cu -o out/saxpy.sm_90.cubin
`;

/** `ingot run`: one command on the farm. */
export function registerRun(program: Command, host: CommandHost): void {
  program
    .command('run')
    .description('run a command on the farm, or take its result from the cache')
    .usage('[options] -- COMMAND [ARGUMENT…]')
    .argument('<command...>', 'the command and its arguments, behind --')
    .option('-i, --input <path>', 'a file or directory the command reads; repeat it for more', collect)
    .option('-o, --output <path>', 'a file or directory the command makes; repeat it for more', collect)
    .option('-p, --platform <name=value>', 'a property the worker must have; repeat it for more', collect)
    .option(
      '-e, --env <name=value>',
      'an environment variable; a bare NAME takes the value it has here',
      collect,
    )
    .option('--timeout <time>', "how long the command may take, as in 30s or 10m (default: the farm's)")
    .option('--no-cache-lookup', 'run it even if there is a result; the new one replaces it')
    .option('--do-not-cache', 'run it even if there is a result, and keep none')
    .addHelpText('after', HELP)
    .action(
      host.action<RunOptions>(async (context, options, args) => {
        const { run } = await import('../run/run.ts');
        return run(context, options, args);
      }),
    );
}
