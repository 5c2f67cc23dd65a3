import { stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Authenticator } from '../../core/auth/authenticator.ts';
import type { ServerSecurity } from '../../core/auth/server-security.ts';
import { TlsIdentity } from '../../core/auth/tls-identity.ts';
import { TokenAuthenticator } from '../../core/auth/token-authenticator.ts';
import type { HostPort } from '../../core/config/config-values.ts';
import { failedPrecondition } from '../../core/error.ts';
import type { RoleHost } from '../../core/role.ts';
import { HintedError } from '../hinted-error.ts';
import { UsageError } from '../usage-error.ts';
import { formatAddress } from './listen.ts';
import type { SecurityConfig } from './security-config.ts';

/** The file of tokens in a data folder. */
export const TOKENS_FILE = 'tokens.json';

interface SecuredRole extends SecurityConfig {
  readonly data: string;
}

/**
 * Opens what a server's configuration names. Without credentials everyone may do everything, so it then serves this
 * machine only, unless `--allow-anonymous` says that the network is trusted.
 */
export async function openServerSecurity(
  config: SecuredRole,
  addresses: readonly HostPort[],
  host: RoleHost,
): Promise<ServerSecurity> {
  const authenticator = await openAuthenticator(config, host);
  if (authenticator !== undefined && config.allowAnonymous) {
    host.logger.warn({}, '--allow-anonymous has no effect, since there are credentials to ask for');
  }
  const open = addresses.filter(({ host: name }) => !isLoopback(name));
  if (authenticator === undefined && open.length > 0) {
    const where = open.map(formatAddress).join(' and ');
    if (!config.allowAnonymous) {
      throw new HintedError(
        failedPrecondition(
          `listen on ${where}: without credentials anyone there could read and write everything`,
        ),
        'make tokens with `ingot token create`, or say --allow-anonymous where the network itself is trusted',
      );
    }
    host.logger.warn({ where }, 'anyone who reaches this address may read and write everything');
  }
  return { authenticator, tls: await openTls(config, host) };
}

async function openAuthenticator(
  { tokens, data }: SecuredRole,
  { logger, lifecycle }: RoleHost,
): Promise<Authenticator | undefined> {
  const path = tokens ?? join(data, TOKENS_FILE);
  if (tokens === undefined && !(await isThere(path))) return undefined;
  return lifecycle.use('tokens', await TokenAuthenticator.open({ path, logger }));
}

async function openTls(
  { tlsCert: cert, tlsKey: key }: SecuredRole,
  { logger, lifecycle }: RoleHost,
): Promise<TlsIdentity | undefined> {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw new UsageError('--tls-cert and --tls-key go together');
  return lifecycle.use('TLS certificate', await TlsIdentity.open({ files: { cert, key }, logger }));
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
