import { readFileSync } from 'node:fs';
import { tokenFromFile } from '../../core/auth/token-source.ts';
import { failedPrecondition } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type { ChannelSecurity, ClientTls } from '../../core/rpc/rpc-channel-security.ts';
import { UsageError } from '../usage-error.ts';

/** What a person says of how a client proves itself. Never the token on the command line: others could read it there. */
export interface ChannelSecurityOptions {
  /** From INGOT_TOKEN. */
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** The endpoint was written with `grpcs://`. */
  readonly tls: boolean;
  readonly tlsCa?: string | undefined;
  readonly tlsClientCert?: string | undefined;
  readonly tlsClientKey?: string | undefined;
}

/** Reads the files once, the token's again when it changes; FAILED_PRECONDITION for one that cannot be read. */
export function openChannelSecurity(options: ChannelSecurityOptions): ChannelSecurity {
  const { token, tokenFile } = options;
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new UsageError('INGOT_TOKEN: expected a token of printable characters without spaces');
  }
  return {
    token: tokenFile !== undefined ? tokenFromFile(tokenFile) : token === undefined ? undefined : () => token,
    tls: tlsOf(options),
  };
}

function tlsOf({ tls, tlsCa, tlsClientCert, tlsClientKey }: ChannelSecurityOptions): ClientTls | undefined {
  if (!tls) {
    if (tlsCa === undefined && tlsClientCert === undefined && tlsClientKey === undefined) return undefined;
    throw new UsageError(
      '--tls-ca, --tls-client-cert and --tls-client-key are for an endpoint with grpcs://',
    );
  }
  if ((tlsClientCert === undefined) !== (tlsClientKey === undefined)) {
    throw new UsageError('--tls-client-cert and --tls-client-key go together');
  }
  return { ca: pemOf(tlsCa), cert: pemOf(tlsClientCert), key: pemOf(tlsClientKey) };
}

function pemOf(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    throw failedPrecondition(`read ${quote(path)}: ${(cause as Error).message}`, { cause });
  }
}
