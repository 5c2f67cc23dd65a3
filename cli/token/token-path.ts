import { join, resolve } from 'node:path';
import type { ProgramIo } from '../command-context.ts';
import { TOKENS_FILE } from '../roles/open-server-security.ts';
import { chosenDataFolder } from '../toolchain/toolchains-folder.ts';

/** Which file `ingot token` works on. */
export interface TokenFileOptions {
  readonly data?: string;
  readonly tokens?: string;
}

/** `--tokens`, else INGOT_TOKENS, else the file in the data folder, as a server looks for it. */
export function tokenPath({ data, tokens }: TokenFileOptions, { environment, cwd }: ProgramIo): string {
  const named = tokens ?? (environment.INGOT_TOKENS || undefined);
  if (named !== undefined) return resolve(cwd, named);
  return join(chosenDataFolder({ data, environment, cwd }), TOKENS_FILE);
}
