import type { Caller } from '../caller.ts';
import type { ClientCertificate } from './client-certificate.ts';

/**
 * Tells who calls. It is asked before each call's handler runs, and again and again while a long call is open, so it
 * answers at once (no promise) for anonymous callers and for a credential it has seen before.
 */
export interface Authenticator {
  /**
   * The caller these credentials prove: the Authorization header as it came, and the certificate the connection was
   * opened with, already verified. UNAUTHENTICATED when they prove nothing, or no longer do.
   */
  authenticate(
    authorization: string | undefined,
    certificate: ClientCertificate | undefined,
  ): Caller | Promise<Caller>;
}
