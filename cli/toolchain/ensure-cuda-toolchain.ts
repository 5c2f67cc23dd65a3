import { join } from 'node:path';
import { type IngotError, isIngotError, notFound } from '../../core/error.ts';
import type { Toolchain } from '../../core/toolchain/toolchain.ts';
import { listToolchains } from '../../core/toolchain/toolchain-folder.ts';
import { HintedError } from '../hinted-error.ts';
import { addHostToolchain } from './add-host-toolchain.ts';
import { findHostNvcc } from './find-host-nvcc.ts';
import { type InstallCudaOptions, installCudaToolchain } from './install-cuda-toolchain.ts';

interface EnsureCudaOptions extends InstallCudaOptions {
  /** False is `--no-download`. */
  readonly allowDownload: boolean;
  /** Default `/usr/local/cuda`. */
  readonly usualRoot?: string;
}

/** A CUDA toolchain to work with, where it came from, and what was passed over on the way to it. */
export interface EnsuredToolchain {
  readonly toolchain: Toolchain;
  readonly from: 'host' | 'data folder' | 'download';
  readonly problems: readonly IngotError[];
}

/**
 * The nvcc of this machine, else one that was brought before, else one downloaded now. Throws the reason why there
 * is none; NOT_FOUND when a download is not allowed.
 */
export async function ensureCudaToolchain(options: EnsureCudaOptions): Promise<EnsuredToolchain> {
  const { signal, toolchainsFolder } = options;
  const search = await findHostNvcc(options);
  const problems = [...search.problems];
  if (search.found !== undefined) {
    try {
      const { toolchain } = await addHostToolchain(search.found, options);
      return { toolchain, from: 'host', problems };
    } catch (error) {
      const reason = error instanceof HintedError ? error.cause : error;
      if (signal?.aborted || !isIngotError(reason)) throw error;
      problems.push(reason);
    }
  }

  const listing = await listToolchains(toolchainsFolder, { signal });
  const brought = listing.toolchains.filter(({ name, source }) => name === 'cuda' && source === 'packages');
  const newest = brought.at(-1);
  if (newest !== undefined) return { toolchain: newest, from: 'data folder', problems };
  problems.push(...listing.problems.map(({ error }) => error));

  if (!options.allowDownload) {
    throw notFound(`look for nvcc: none in PATH, CUDA_HOME or ${join(toolchainsFolder, 'cuda-*')}`);
  }
  const { toolchain } = await installCudaToolchain(options);
  return { toolchain, from: 'download', problems };
}
