import { readFile, stat } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions, type TlsOptions } from 'node:tls';
import { failedPrecondition } from '../error.ts';
import type { Logger } from '../log/logger.ts';
import { quote } from '../quote.ts';

/** How often the files are looked at: a renewed certificate is in use so soon. */
const POLL_MS = 5_000;

/** Where a server's identity is, as PEM files. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Of clients' certificates. Present: clients are asked for one. */
  readonly clientCa?: string | undefined;
}

/** What a {@link TlsIdentity} is made of. */
export interface TlsIdentityDependencies {
  readonly files: TlsFiles;
  readonly logger: Logger;
}

/**
 * The certificate, key and client CA of a server, read again when a file changes: new connections use the new ones.
 * A client without a certificate is let through the handshake, since it may have a token instead; one with a
 * certificate that the CA does not vouch for is told so in answer to its calls.
 */
export class TlsIdentity implements AsyncDisposable {
  readonly #files: TlsFiles;
  readonly #logger: Logger;
  readonly #listeners: ((changed: SecureContextOptions) => void)[] = [];
  readonly #timer: NodeJS.Timeout;
  #context: SecureContextOptions = {};
  #seen = '';
  #reading: Promise<void> | undefined;

  private constructor({ files, logger }: TlsIdentityDependencies) {
    this.#files = files;
    this.#logger = logger;
    this.#timer = setInterval(() => void this.#poll(), POLL_MS);
    this.#timer.unref();
  }

  /** FAILED_PRECONDITION when a file cannot be read, or the key is not the certificate's. */
  static async open(dependencies: TlsIdentityDependencies): Promise<TlsIdentity> {
    const identity = new TlsIdentity(dependencies);
    try {
      await identity.#load();
    } catch (error) {
      await identity.close();
      throw error;
    }
    return identity;
  }

  /** For a server's constructor. */
  get options(): TlsOptions {
    const requestCert = this.#files.clientCa !== undefined;
    return { ...this.#context, requestCert, rejectUnauthorized: false, minVersion: 'TLSv1.2' };
  }

  /** Calls the listener whenever the files have changed, with what is to be used from then on. */
  onChange(listener: (changed: SecureContextOptions) => void): void {
    this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #poll(): Promise<void> {
    this.#reading ??= this.#reload().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  async #reload(): Promise<void> {
    try {
      if ((await this.#state()) === this.#seen) return;
      await this.#load();
      for (const listener of this.#listeners) listener(this.#context);
      this.#logger.info({ cert: this.#files.cert }, 'the certificate has changed');
    } catch (error) {
      // Half written, or a key that is not there yet: the next look will tell.
      this.#logger.warn(
        { cert: this.#files.cert, error },
        'the new certificate cannot be used, the old one goes on',
      );
    }
  }

  async #load(): Promise<void> {
    const { cert, key, clientCa } = this.#files;
    const seen = await this.#state();
    const context: SecureContextOptions = {
      cert: await pemOf(cert),
      key: await pemOf(key),
      ...(clientCa === undefined ? {} : { ca: await pemOf(clientCa) }),
    };
    try {
      createSecureContext(context);
    } catch (cause) {
      const { message } = cause as Error;
      throw failedPrecondition(`use ${quote(cert)} with the key ${quote(key)}: ${message}`, { cause });
    }
    this.#context = context;
    this.#seen = seen;
  }

  async #state(): Promise<string> {
    const { cert, key, clientCa = cert } = this.#files;
    const states = [cert, key, clientCa].map(async (path) => {
      const { ino, size, mtimeMs } = await stat(path);
      return `${ino}.${size}.${mtimeMs}`;
    });
    try {
      return (await Promise.all(states)).join(' ');
    } catch (cause) {
      throw failedPrecondition((cause as Error).message, { cause });
    }
  }
}

async function pemOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw failedPrecondition(`read ${quote(path)}: ${(cause as Error).message}`, { cause });
  }
}
