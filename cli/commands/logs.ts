import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import type { LogsOptions } from '../farm/show-logs.ts';

const HELP = `
The action's stdout goes to stdout and its stderr to stderr. With --json each piece is a line
{"stream": "stdout", "text": "…"}.

Examples:
  ingot logs 6f2c…            what there is so far
  ingot logs -f 6f2c…         until the action ends
`;

/** `ingot logs`: the output of an operation. */
export function registerLogs(program: Command, host: CommandHost): void {
  program
    .command('logs')
    .description('show what an operation has written')
    .argument('<operation>', 'its id, as `ingot status` shows it, or its whole name')
    .option('-f, --follow', 'go on until the action ends')
    .addHelpText('after', HELP)
    .action(
      host.action<LogsOptions>(async (context, options, args) => {
        const { showLogs } = await import('../farm/show-logs.ts');
        return showLogs(context, options, args);
      }),
    );
}
