import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { type Caller, callerRoleNames, callerRoles } from '../caller.ts';
import { unauthenticated, unavailable } from '../error.ts';
import { retryInfo } from '../error-details.ts';
import { escapeControls } from '../escape-controls.ts';
import type { Authenticator } from './authenticator.ts';
import { bearerTokenOf } from './bearer-token.ts';
import { tokenHash } from './token-secret.ts';

/** How far the clocks of the provider and of this machine may be apart. */
const CLOCK_SKEW_S = 30;
/** How long a verified token is taken for good without a look at the keys: a key that is withdrawn ends within it. */
const VERIFIED_MS = 60_000;
/** Verified tokens kept; the least recently used goes. */
const TOKENS_MAX = 10_000;
/** How long a client is asked to wait while the keys cannot be had. */
const KEYS_RETRY_MS = 5_000;
/** Of a subject, for logs. */
const NAME_CHARACTERS_MAX = 128;

/** Signatures with a key pair only: one made with a shared secret could be forged with the public key as the secret. */
const ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

/** What a {@link JwtAuthenticator} is made of. */
export interface JwtAuthenticatorDependencies {
  /** The provider's keys by the token's `kid`; it throws what is no JOSE error when they cannot be had for now. */
  readonly keys: JWTVerifyGetKey;
  readonly issuer: string;
  readonly audience: string;
  /** The claim that holds a role or a list of them; dots lead into objects. */
  readonly roleClaim: string;
  /** The claim that holds instance names; a token without it may use none. Absent: tokens may use any. */
  readonly instancesClaim?: string | undefined;
  /** The wall clock. Default: `Date.now`. */
  readonly nowMs?: () => number;
}

interface Verified {
  readonly caller: Caller;
  readonly expiresAtMs: number;
  readonly verifiedAtMs: number;
}

/** Callers by the tokens of an identity provider. A token seen within the last minute is answered for at once. */
export class JwtAuthenticator implements Authenticator {
  readonly #dependencies: JwtAuthenticatorDependencies;
  readonly #nowMs: () => number;
  /** By hash of the token, in order of use. */
  readonly #verified = new Map<string, Verified>();
  readonly #pending = new Map<string, Promise<Caller>>();

  constructor(dependencies: JwtAuthenticatorDependencies) {
    this.#dependencies = dependencies;
    this.#nowMs = dependencies.nowMs ?? Date.now;
  }

  authenticate(authorization: string | undefined): Caller | Promise<Caller> {
    if (authorization === undefined) throw unauthenticated('no JWT came with the call');
    const token = bearerTokenOf(authorization);
    const hash = tokenHash(token);
    const known = this.#verified.get(hash);
    const nowMs = this.#nowMs();
    if (known !== undefined && nowMs - known.verifiedAtMs < VERIFIED_MS) {
      if (known.expiresAtMs <= nowMs) throw unauthenticated(`the JWT of ${known.caller.name} has expired`);
      this.#verified.delete(hash);
      this.#verified.set(hash, known);
      return known.caller;
    }
    let pending = this.#pending.get(hash);
    if (pending === undefined) {
      pending = this.#verify(token, hash).finally(() => this.#pending.delete(hash));
      this.#pending.set(hash, pending);
    }
    return pending;
  }

  async #verify(token: string, hash: string): Promise<Caller> {
    this.#verified.delete(hash);
    const { keys, issuer, audience } = this.#dependencies;
    const nowMs = this.#nowMs();
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: [...ALGORITHMS],
        requiredClaims: ['exp', 'sub'],
        clockTolerance: CLOCK_SKEW_S,
        currentDate: new Date(nowMs),
      }));
    } catch (error) {
      throw refusal(error);
    }
    const caller = this.#callerOf(payload);
    const expiresAtMs = ((payload.exp ?? 0) + CLOCK_SKEW_S) * 1000;
    this.#verified.set(hash, { caller, expiresAtMs, verifiedAtMs: nowMs });
    const [oldest] = this.#verified.keys();
    if (this.#verified.size > TOKENS_MAX && oldest !== undefined) this.#verified.delete(oldest);
    return caller;
  }

  #callerOf(payload: JWTPayload): Caller {
    const { roleClaim, instancesClaim } = this.#dependencies;
    const name = escapeControls((payload.sub ?? '').slice(0, NAME_CHARACTERS_MAX).toWellFormed());
    const words = stringsOf(claim(payload, roleClaim));
    const roles = callerRoleNames.filter((role) => words.includes(role));
    if (roles.length === 0) {
      throw unauthenticated(
        `the JWT of ${name} is good, but its claim ${roleClaim} names none of ${callerRoleNames.join(', ')}`,
      );
    }
    const rights = new Set(roles.flatMap((role) => [...callerRoles[role]]));
    if (instancesClaim === undefined) return { name, rights };
    return { name, rights, instanceNames: new Set(stringsOf(claim(payload, instancesClaim))) };
  }
}

function claim(payload: JWTPayload, path: string): unknown {
  // A name with dots in it, such as a URL, is looked for as it is first.
  if (Object.hasOwn(payload, path)) return payload[path];
  let value: unknown = payload;
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}

function stringsOf(value: unknown): string[] {
  return [value].flat().filter((item) => typeof item === 'string');
}

/** What jose says of a token holds nothing of it but names of claims. Keys that cannot be had are nobody's fault. */
function refusal(error: unknown): Error {
  const isAway =
    !(error instanceof errors.JOSEError) ||
    error instanceof errors.JWKSTimeout ||
    error instanceof errors.JWKSInvalid ||
    error.code === errors.JOSEError.code;
  if (isAway) {
    const details = [retryInfo(KEYS_RETRY_MS)];
    return unavailable('the keys that JWTs are checked with cannot be had for now', {
      cause: error,
      details,
    });
  }
  return unauthenticated(`the JWT is not accepted: ${error.message}`);
}
