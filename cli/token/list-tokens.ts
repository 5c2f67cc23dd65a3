import { readTokenFile } from '../../core/auth/token-file.ts';
import type { TokenRecord } from '../../core/auth/token-record.ts';
import type { CommandContext } from '../command-context.ts';
import { formatTable } from '../output/format-table.ts';
import { type TokenFileOptions, tokenPath } from './token-path.ts';

/** `ingot token list`: what is known of each token, which is not the token. */
export async function listTokens({ io, printer }: CommandContext, options: TokenFileOptions): Promise<void> {
  const path = tokenPath(options, io);
  const tokens = await readTokenFile(path);
  const rows = tokens.map((token) => [
    token.name,
    token.role,
    instancesOf(token),
    token.created.slice(0, 10),
    expiryOf(token),
  ]);
  for (const line of formatTable(['NAME', 'ROLE', 'INSTANCES', 'CREATED', 'EXPIRES'], rows))
    printer.line(line);
  if (rows.length === 0) printer.line(`no tokens in ${path}`);
  printer.result({ path, tokens: tokens.map(({ sha256: _, ...shown }) => shown) });
}

function instancesOf({ instances }: TokenRecord): string {
  return instances === undefined ? 'any' : instances.map((name) => name || '(unnamed)').join(', ');
}

function expiryOf({ expires }: TokenRecord): string {
  if (expires === undefined) return 'never';
  return Date.parse(expires) <= Date.now() ? `${expires} (over)` : expires;
}
