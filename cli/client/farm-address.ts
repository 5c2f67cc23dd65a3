import { UsageError } from '../usage-error.ts';

/** Where `ingot up` listens unless told otherwise. */
export const DEFAULT_ENDPOINT = '127.0.0.1:8980';

/** Which farm a command talks to. */
export interface FarmAddress {
  /** `HOST:PORT`. */
  readonly endpoint: string;
  readonly instanceName: string;
  /** Sent as a bearer token with every call. */
  readonly token: string | undefined;
}

/** `HOST:PORT` or `[IPv6]:PORT` as a person wrote it, a scheme of gRPC before it allowed; `source` names where. */
export function parseEndpoint(text: string, source: string): string {
  const bare = text.replace(/^grpc:\/\//, '');
  const [, port] = /^(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})$/.exec(bare) ?? [];
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new UsageError(`${source}: ${JSON.stringify(text)} is not HOST:PORT, as in ${DEFAULT_ENDPOINT}`);
  }
  return bare;
}
