import type { Caller } from '../caller.ts';
import { unauthenticated } from '../error.ts';
import { quote } from '../quote.ts';
import type { Authenticator } from './authenticator.ts';
import { type CallerRule, callerByRules } from './caller-rule.ts';
import type { ClientCertificate } from './client-certificate.ts';

/** What a {@link CertificateAuthenticator} is made of. */
export interface CertificateAuthenticatorDependencies {
  /** The first that fits a certificate's name counts. */
  readonly rules: readonly CallerRule[];
  /** The wall clock. Default: `Date.now`. */
  readonly nowMs?: () => number;
}

/** Callers by the certificate of their connection, which the TLS layer has checked against the client CA. */
export class CertificateAuthenticator implements Authenticator {
  readonly #rules: readonly CallerRule[];
  readonly #nowMs: () => number;
  /** One caller a certificate, however many calls come with it. */
  readonly #callers = new WeakMap<ClientCertificate, Caller>();

  constructor({ rules, nowMs = Date.now }: CertificateAuthenticatorDependencies) {
    this.#rules = rules;
    this.#nowMs = nowMs;
  }

  authenticate(_authorization: string | undefined, certificate: ClientCertificate | undefined): Caller {
    if (certificate === undefined) throw unauthenticated('the client showed no certificate');
    const { name, problem, expiresAtMs } = certificate;
    if (problem !== undefined) {
      throw unauthenticated(`the client certificate ${quote(name)} is not accepted: ${problem}`);
    }
    // `not (later)`, so that a date that could not be read counts as past.
    if (!(expiresAtMs > this.#nowMs())) {
      throw unauthenticated(`the client certificate ${quote(name)} has expired`);
    }
    const caller = this.#callers.get(certificate) ?? callerByRules(name, this.#rules);
    if (caller === undefined) {
      throw unauthenticated(`the client certificate ${quote(name)} is good, but no rule gives it a role`);
    }
    this.#callers.set(certificate, caller);
    return caller;
  }
}
