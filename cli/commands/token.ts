import type { Command } from 'commander';
import type { CommandHost } from '../command-context.ts';
import type { CreateTokenOptions } from '../token/create-token.ts';
import type { TokenFileOptions } from '../token/token-path.ts';

const CREATE_HELP = `
Roles: reader looks; writer uploads and executes; publisher also files action results of its own, as --remote_cache,
ccache and sccache do; worker is for \`ingot worker\`, scheduler for \`ingot scheduler\`, towards the cache.
The token is printed once. Clients take it from INGOT_TOKEN or --token-file; Bazel as
--remote_header=authorization="Bearer TOKEN"; curl as --oauth2-bearer TOKEN, or as the password of any user.

Examples:
  ingot token create --name ci --role publisher --expires 90d
  ingot token create --name team-a --role writer --instances team-a,shared
`;

/** `ingot token create`, `list` and `revoke`: the static tokens a server lets callers in by. */
export function registerToken(program: Command, host: CommandHost): void {
  const token = program.command('token').description('the tokens that a farm lets callers in by');
  const dataFlag = ['--data <dir>', 'the data folder, as for `ingot up`'] as const;
  const fileFlag = ['--tokens <file>', 'the file (default: tokens.json in the data folder)'] as const;

  token
    .command('create')
    .description('make a token')
    .requiredOption('--name <name>', 'for logs and for `ingot token revoke`')
    .requiredOption('--role <role>', 'reader, writer, publisher, worker or scheduler')
    .option('--instances <names>', 'instance names it may use, with commas between (default: any)')
    .option('--expires <time>', 'after which it is no good, as in 90d (default: never)')
    .option(...dataFlag)
    .option(...fileFlag)
    .addHelpText('after', CREATE_HELP)
    .action(
      host.action<CreateTokenOptions>(async (context, options) => {
        const { createToken } = await import('../token/create-token.ts');
        return createToken(context, options);
      }),
    );

  token
    .command('list')
    .description('list the tokens, but not what they are')
    .option(...dataFlag)
    .option(...fileFlag)
    .action(
      host.action<TokenFileOptions>(async (context, options) => {
        const { listTokens } = await import('../token/list-tokens.ts');
        return listTokens(context, options);
      }),
    );

  token
    .command('revoke')
    .description('end what a token is good for, at once')
    .argument('<name>')
    .option(...dataFlag)
    .option(...fileFlag)
    .action(
      host.action<TokenFileOptions>(async (context, options, args) => {
        const { revokeToken } = await import('../token/revoke-token.ts');
        return revokeToken(context, options, args);
      }),
    );
}
