import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { failedPrecondition } from '../error.ts';

/** PEM of what a client needs for TLS. */
export interface ClientTls {
  /** Who is believed; default: the authorities that Node knows. */
  readonly ca?: Buffer | undefined;
  /** The client's own certificate and its key, where the server wants one. */
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

/** How a channel proves who calls, and whom it believes. */
export interface ChannelSecurity {
  /** Asked for at each call, since the file it is from may be renewed; sent as a bearer token. */
  readonly token?: (() => string | undefined) | undefined;
  /** Absent: clear text. */
  readonly tls?: ClientTls | undefined;
}

/** FAILED_PRECONDITION when the certificates are of no use. */
export function channelCredentials(tls: ClientTls | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  try {
    return credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null);
  } catch (cause) {
    throw failedPrecondition(`use the TLS certificates: ${(cause as Error).message}`, { cause });
  }
}
