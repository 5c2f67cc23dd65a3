import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** PEM files of one certificate. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** An authority of a test's own, made with openssl in a folder of its own, and what it signs. */
export class TestAuthority {
  readonly ca: string;
  readonly #folder: string;
  readonly #key: string;
  #serial = 1;

  private constructor(folder: string) {
    this.#folder = folder;
    this.ca = join(folder, 'ca.pem');
    this.#key = join(folder, 'ca.key');
  }

  static async make(folder: string): Promise<TestAuthority> {
    await mkdir(folder, { recursive: true });
    const authority = new TestAuthority(folder);
    const subject = ['-subj', '/CN=a test authority', '-days', '2'];
    await openssl('req', '-x509', ...NEW_KEY, '-keyout', authority.#key, '-out', authority.ca, ...subject);
    return authority;
  }

  /** A certificate for 127.0.0.1 and localhost, which a server can show. */
  server(name = 'server'): Promise<CertificateFiles> {
    return this.#sign(name, 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n');
  }

  /** A client's certificate whose name is its DNS name. */
  client(name: string): Promise<CertificateFiles> {
    return this.#sign(name, `subjectAltName=DNS:${name}\nextendedKeyUsage=clientAuth\n`);
  }

  async #sign(name: string, extensions: string): Promise<CertificateFiles> {
    const path = (end: string): string => join(this.#folder, `${name}.${end}`);
    // Bazel's TLS wants keys as PKCS #8, which is what openssl writes.
    await openssl('req', ...NEW_KEY, '-keyout', path('key'), '-out', path('csr'), '-subj', `/CN=${name}`);
    await writeFile(path('ext'), extensions);
    const signed = ['-CA', this.ca, '-CAkey', this.#key, '-set_serial', String(this.#serial++), '-days', '1'];
    await openssl(
      'x509',
      '-req',
      '-in',
      path('csr'),
      '-out',
      path('pem'),
      '-extfile',
      path('ext'),
      ...signed,
    );
    return { cert: path('pem'), key: path('key') };
  }
}

const NEW_KEY = ['-newkey', 'rsa:2048', '-nodes'];

async function openssl(...args: readonly string[]): Promise<void> {
  await run('openssl', [...args]);
}
