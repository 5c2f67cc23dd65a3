import { UsageError } from '../usage-error.ts';
import type { ChannelSecurityOptions } from './open-channel-security.ts';

/** Where `ingot up` listens unless told otherwise. */
export const DEFAULT_ENDPOINT = '127.0.0.1:8980';

/** Which farm a command talks to. */
export interface FarmAddress {
  /** `HOST:PORT`. */
  readonly endpoint: string;
  readonly instanceName: string;
  /** How the person proves who they are, and whom they believe. */
  readonly security: ChannelSecurityOptions;
}

/** An endpoint as it was written. */
export interface Endpoint {
  /** `HOST:PORT`. */
  readonly address: string;
  /** It had the scheme `grpcs://`. */
  readonly tls: boolean;
}

/** `HOST:PORT` or `[IPv6]:PORT` as a person wrote it, a scheme of gRPC before it allowed; `source` names where. */
export function parseEndpoint(text: string, source: string): Endpoint {
  const bare = text.replace(/^grpcs?:\/\//, '');
  const [, port] = /^(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})$/.exec(bare) ?? [];
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new UsageError(`${source}: ${JSON.stringify(text)} is not HOST:PORT, as in ${DEFAULT_ENDPOINT}`);
  }
  return { address: bare, tls: text.startsWith('grpcs://') };
}
