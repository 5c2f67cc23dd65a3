import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import type { DoctorOptions } from '../doctor/doctor.ts';

const HELP = `
✔ is there, ✘ must be mended before a farm can run here as it should, – is worth knowing. Nothing is changed; the line
below a finding is the command that mends it. Exit code 0 when nothing has a ✘, else 1.
`;

/** `ingot doctor`: what this machine lacks, with the command that installs it. */
export function registerDoctor(program: Command, host: CommandHost): void {
  program
    .command('doctor')
    .description('check what this machine has and lacks for a farm')
    .option('--data <dir>', 'the data folder, as for `ingot up`')
    .addHelpText('after', HELP)
    .action(
      host.action<DoctorOptions>(async (context, options) => {
        const { doctor } = await import('../doctor/doctor.ts');
        return doctor(context, options);
      }),
    );
}
