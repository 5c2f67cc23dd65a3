import { timingSafeEqual } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { type Caller, callerRoles } from '../caller.ts';
import { isIngotError, unauthenticated } from '../error.ts';
import type { Logger } from '../log/logger.ts';
import type { Authenticator } from './authenticator.ts';
import { bearerTokenOf } from './bearer-token.ts';
import { readTokenFile } from './token-file.ts';
import type { TokenRecord } from './token-record.ts';
import { tokenHash } from './token-secret.ts';

/** How often the file is looked at: a revoked token is good for so long, and a call under way one renewal longer. */
const POLL_MS = 1000;
/** Headers remembered with whom they proved: hashing one costs a call 1.7 µs, making and finding one here 0.7. */
const PROVEN_MAX = 1024;

/** What a {@link TokenAuthenticator} is made of. */
export interface TokenAuthenticatorDependencies {
  /** Written by `ingot token`. */
  readonly path: string;
  readonly logger: Logger;
  /** The wall clock, which the expiry of a token is told by. Default: `Date.now`. */
  readonly nowMs?: () => number;
}

interface Entry {
  readonly hash: Buffer;
  readonly caller: Caller;
  readonly expiresAtMs: number;
}

/**
 * Static tokens from a file, read again when it changes. A file that is removed is one without tokens; of one that has
 * become unreadable the last good state goes on, and the log says so.
 */
export class TokenAuthenticator implements Authenticator, AsyncDisposable {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #nowMs: () => number;
  readonly #timer: NodeJS.Timeout;
  #entries: ReadonlyMap<string, Entry> = new Map();
  /** Headers that were good, as they came; forgotten with the tokens that made them so. */
  readonly #proven = new Map<string, Entry>();
  #seen = '';
  #reading: Promise<void> | undefined;

  private constructor({ path, logger, nowMs = Date.now }: TokenAuthenticatorDependencies) {
    this.#path = path;
    this.#logger = logger;
    this.#nowMs = nowMs;
    this.#timer = setInterval(() => void this.#poll(), POLL_MS);
    this.#timer.unref();
  }

  /** NOT_FOUND when there is no such file, FAILED_PRECONDITION when it is not one of tokens. */
  static async open(dependencies: TokenAuthenticatorDependencies): Promise<TokenAuthenticator> {
    const authenticator = new TokenAuthenticator(dependencies);
    try {
      authenticator.#seen = await stateOf(dependencies.path);
      authenticator.#take(await readTokenFile(dependencies.path));
    } catch (error) {
      await authenticator.close();
      throw error;
    }
    return authenticator;
  }

  authenticate(authorization: string | undefined): Caller {
    if (authorization === undefined) {
      throw unauthenticated('no credential came with the call, expected a token in the authorization header');
    }
    // A map of strings compares what has the same hash, under a seed of this process: a guess learns nothing of it.
    const entry = this.#proven.get(authorization) ?? this.#prove(authorization);
    if (entry.expiresAtMs <= this.#nowMs()) {
      throw unauthenticated(
        `the token ${entry.caller.name} expired on ${new Date(entry.expiresAtMs).toISOString()}`,
      );
    }
    return entry.caller;
  }

  #prove(authorization: string): Entry {
    const hash = tokenHash(bearerTokenOf(authorization));
    const entry = this.#entries.get(hash);
    // The map has told by the hash alone, of which a stranger can choose nothing; the comparison leaves no doubt.
    if (entry === undefined || !timingSafeEqual(entry.hash, Buffer.from(hash, 'hex'))) {
      throw unauthenticated('the token is not known here; it may have been revoked');
    }
    if (this.#proven.size >= PROVEN_MAX) this.#proven.clear();
    this.#proven.set(authorization, entry);
    return entry;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #take(records: readonly TokenRecord[]): void {
    this.#proven.clear();
    this.#entries = new Map(records.map((record) => [record.sha256, entryOf(record)]));
  }

  async #poll(): Promise<void> {
    this.#reading ??= this.#reload().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  async #reload(): Promise<void> {
    try {
      const state = await stateOf(this.#path);
      if (state === this.#seen) return;
      // Noted before it is read: what is written meanwhile is seen the next time.
      this.#seen = state;
      const records = await readTokenFile(this.#path);
      this.#take(records);
      this.#logger.info({ tokens: records.length }, 'the token file has changed');
    } catch (error) {
      if (isIngotError(error, Code.NOT_FOUND)) {
        this.#take([]);
        this.#logger.warn({ path: this.#path }, 'the token file is gone, no token is good any more');
        return;
      }
      this.#logger.error(
        { path: this.#path, error },
        'the token file cannot be read, its last state goes on',
      );
    }
  }
}

function entryOf({ name, role, instances, sha256, expires }: TokenRecord): Entry {
  return {
    hash: Buffer.from(sha256, 'hex'),
    caller: {
      name,
      rights: new Set(callerRoles[role]),
      instanceNames: instances === undefined ? undefined : new Set(instances),
    },
    expiresAtMs: expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires),
  };
}

/** Differs whenever the file has been replaced, written or removed. */
async function stateOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true });
    return `${ino}.${size}.${mtimeNs}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw error;
  }
}
