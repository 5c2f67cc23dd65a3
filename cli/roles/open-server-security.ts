import { stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Authenticator } from '../../core/auth/authenticator.ts';
import { CertificateAuthenticator } from '../../core/auth/certificate-authenticator.ts';
import { CredentialAuthenticator } from '../../core/auth/credential-authenticator.ts';
import { jwksFromFile, jwksFromUrl } from '../../core/auth/jwks-source.ts';
import { JwtAuthenticator } from '../../core/auth/jwt-authenticator.ts';
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

async function openAuthenticator(config: SecuredRole, host: RoleHost): Promise<Authenticator | undefined> {
  const tokens = await openTokens(config, host);
  const jwts = await openJwts(config);
  const certificates = openCertificates(config);
  if (tokens === undefined && jwts === undefined && certificates === undefined) return undefined;
  return new CredentialAuthenticator({ tokens, jwts, certificates });
}

async function openTokens(
  { tokens, data }: SecuredRole,
  { logger, lifecycle }: RoleHost,
): Promise<Authenticator | undefined> {
  const path = tokens ?? join(data, TOKENS_FILE);
  if (tokens === undefined && !(await isThere(path))) return undefined;
  return lifecycle.use('tokens', await TokenAuthenticator.open({ path, logger }));
}

async function openJwts(config: SecuredRole): Promise<Authenticator | undefined> {
  const { jwks, jwtIssuer: issuer, jwtAudience: audience, jwtRoleClaim, jwtInstancesClaim } = config;
  if (jwks === undefined) {
    if (issuer === undefined && audience === undefined) return undefined;
    throw new UsageError('--jwt-issuer and --jwt-audience are for tokens that --jwks has the keys of');
  }
  if (issuer === undefined || audience === undefined) {
    throw new UsageError(
      '--jwks: name the issuer and the audience of its tokens with --jwt-issuer and --jwt-audience',
    );
  }
  const isUrl = /^https?:\/\//.test(jwks);
  if (isUrl && new URL(jwks).protocol === 'http:' && !isLoopback(new URL(jwks).hostname)) {
    throw new UsageError('--jwks: expected an https:// address, since whoever answers decides who may call');
  }
  return new JwtAuthenticator({
    keys: isUrl ? jwksFromUrl(new URL(jwks)) : await jwksFromFile(jwks),
    issuer,
    audience,
    roleClaim: jwtRoleClaim,
    instancesClaim: jwtInstancesClaim,
  });
}

function openCertificates({ tlsClientCa, tlsClientRole: rules }: SecuredRole): Authenticator | undefined {
  if (tlsClientCa === undefined) {
    if (rules.length === 0) return undefined;
    throw new UsageError('--tls-client-role is for certificates, whose authority --tls-client-ca names');
  }
  if (rules.length === 0) {
    throw new UsageError(
      '--tls-client-ca: say with --tls-client-role who has which role, as in worker-*=worker',
    );
  }
  return new CertificateAuthenticator({ rules });
}

async function openTls(
  { tlsCert: cert, tlsKey: key, tlsClientCa: clientCa }: SecuredRole,
  { logger, lifecycle }: RoleHost,
): Promise<TlsIdentity | undefined> {
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new UsageError('--tls-cert and --tls-key go together, and --tls-client-ca needs them');
  }
  return lifecycle.use('TLS certificate', await TlsIdentity.open({ files: { cert, key, clientCa }, logger }));
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
