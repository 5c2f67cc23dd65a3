import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type IngotError, isIngotError } from '../error.ts';
import type { IoOptions } from '../io-options.ts';
import { describeToolchain, type Toolchain } from './toolchain.ts';

/** What a folder of toolchains holds. One that cannot be used does not hide the others. */
export interface ToolchainListing {
  /** By name, then version. */
  readonly toolchains: readonly Toolchain[];
  readonly problems: readonly { readonly folder: string; readonly error: IngotError }[];
}

/**
 * Describes every toolchain in a folder (`DATA/toolchains`); none when the folder is not there. Names that begin
 * with a dot are being put together, or were given up, and do not count.
 */
export async function listToolchains(
  toolchainsFolder: string,
  options: IoOptions = {},
): Promise<ToolchainListing> {
  const toolchains: Toolchain[] = [];
  const problems: { folder: string; error: IngotError }[] = [];
  for (const name of await namesIn(toolchainsFolder)) {
    const folder = join(toolchainsFolder, name);
    try {
      const toolchain = await describeToolchain(folder, options);
      // The same tree twice (brought, and found on the machine) is one toolchain.
      if (!toolchains.some(({ id }) => id === toolchain.id)) toolchains.push(toolchain);
    } catch (error) {
      if (options.signal?.aborted || !isIngotError(error)) throw error;
      problems.push({ folder, error });
    }
  }
  toolchains.sort((a, b) => compareVersions(`${a.name} ${a.version}`, `${b.name} ${b.version}`));
  return { toolchains, problems };
}

/** Orders `cuda 13.2` before `cuda 13.10`; for sorting. */
export function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
