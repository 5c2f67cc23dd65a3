import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ingot } from '../e2e/cli-process.ts';

/** Tokens made with `ingot token`, as a person makes them, and a file of each for --token-file. */
export class TestTokens {
  /** For --tokens. */
  readonly path: string;
  readonly #folder: string;
  readonly #tokens = new Map<string, string>();

  constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, 'tokens.json');
  }

  async create(name: string, role: string, ...flags: readonly string[]): Promise<string> {
    const made = await ingot([
      'token',
      'create',
      '--tokens',
      this.path,
      '--name',
      name,
      '--role',
      role,
      ...flags,
    ]);
    if (made.code !== 0) throw new Error(made.stderr);
    const token = made.stdout.trim();
    this.#tokens.set(name, token);
    await writeFile(this.file(name), `${token}\n`, { mode: 0o600 });
    return token;
  }

  of(name: string): string {
    const token = this.#tokens.get(name);
    if (token === undefined) throw new Error(`there is no token ${name}`);
    return token;
  }

  /** For --token-file. */
  file(name: string): string {
    return join(this.#folder, `${name}.token`);
  }

  async revoke(name: string): Promise<void> {
    const revoked = await ingot(['token', 'revoke', '--tokens', this.path, name]);
    if (revoked.code !== 0) throw new Error(revoked.stderr);
  }

  /** Those of which some part, longer than chance allows, stands in the text. */
  namesIn(text: string): string[] {
    return [...this.#tokens].filter(([, token]) => text.includes(token.slice(6, 30))).map(([name]) => name);
  }

  async fileText(): Promise<string> {
    return readFile(this.path, 'utf8');
  }
}
