import type { Authenticator } from './authenticator.ts';
import type { TlsIdentity } from './tls-identity.ts';

/** How a server tells who calls, and proves itself. */
export interface ServerSecurity {
  readonly authenticator?: Authenticator | undefined;
  /** Absent: clear text. */
  readonly tls?: TlsIdentity | undefined;
}
