import { changeTokenFile } from '../../core/auth/change-token-file.ts';
import { notFound } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type { CommandContext } from '../command-context.ts';
import { type TokenFileOptions, tokenPath } from './token-path.ts';

/** `ingot token revoke`: servers that read the file know it within a second, calls under way end within another. */
export async function revokeToken(
  { io, printer }: CommandContext,
  options: TokenFileOptions,
  [name = '']: readonly string[],
): Promise<void> {
  const path = tokenPath(options, io);
  await changeTokenFile(path, (tokens) => {
    const kept = tokens.filter((token) => token.name !== name);
    if (kept.length === tokens.length) throw notFound(`there is no token ${quote(name)} in ${path}`);
    return kept;
  });
  printer.line(`revoked ${name}`);
  printer.result({ revoked: name, path });
}
