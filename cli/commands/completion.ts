import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';

const HELP = `
Examples:
  source <(ingot completion bash)
  ingot completion zsh > "\${fpath[1]}/_ingot"
  ingot completion fish > ~/.config/fish/completions/ingot.fish
`;

/** `ingot completion`: a script that completes ingot's own command line. */
export function registerCompletion(program: Command, host: CommandHost): void {
  program
    .command('completion')
    .description('print a completion script for bash, zsh or fish')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText('after', HELP)
    .action(
      host.action(async ({ printer }, _options, [shell = '']) => {
        const { completionScript } = await import('../completion/completion-script.ts');
        const script = completionScript(program, shell);
        printer.line(script);
        printer.result({ shell, script });
      }),
    );
}
