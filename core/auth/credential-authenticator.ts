import type { Caller } from '../caller.ts';
import { unauthenticated } from '../error.ts';
import type { Authenticator } from './authenticator.ts';
import { bearerTokenOf } from './bearer-token.ts';
import type { ClientCertificate } from './client-certificate.ts';
import { TOKEN_PREFIX } from './token-secret.ts';

/** The kinds of credential a server takes; at least one. */
export interface CredentialKinds {
  readonly tokens?: Authenticator | undefined;
  readonly jwts?: Authenticator | undefined;
  readonly certificates?: Authenticator | undefined;
}

/** Hands each credential to whom it is for. A token counts before the certificate of the connection it comes on. */
export class CredentialAuthenticator implements Authenticator {
  readonly #kinds: CredentialKinds;

  constructor(kinds: CredentialKinds) {
    this.#kinds = kinds;
  }

  authenticate(
    authorization: string | undefined,
    certificate: ClientCertificate | undefined,
  ): Caller | Promise<Caller> {
    const { tokens, jwts, certificates } = this.#kinds;
    if (authorization !== undefined) {
      const ofOurs = jwts === undefined || bearerTokenOf(authorization).startsWith(TOKEN_PREFIX);
      const authenticator = ofOurs ? tokens : jwts;
      if (authenticator === undefined) throw unauthenticated('this server takes no token of this kind');
      return authenticator.authenticate(authorization, certificate);
    }
    if (certificate !== undefined && certificates !== undefined) {
      return certificates.authenticate(authorization, certificate);
    }
    throw unauthenticated(`no credential came with the call, expected ${this.#expected()}`);
  }

  #expected(): string {
    const { tokens, jwts, certificates } = this.#kinds;
    const expected = [
      tokens === undefined && jwts === undefined ? '' : 'a token in the authorization header',
      certificates === undefined ? '' : 'a client certificate',
    ];
    return expected.filter((text) => text !== '').join(' or ');
  }
}
