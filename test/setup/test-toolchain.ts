import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Toolchain } from '../../core/toolchain/toolchain.ts';
import { listToolchains } from '../../core/toolchain/toolchain-folder.ts';

/** Where the tests' own toolchains are: in the checkout, ignored by git, kept between runs. */
export const testToolchainsFolder = fileURLToPath(new URL('../../.ingot/toolchains', import.meta.url));

/** The command that brings what {@link testCudaToolchain} looks for. */
export const testToolchainCommand = `npx ingot toolchain add cuda --data ${join(testToolchainsFolder, '..')}`;

/** The CUDA toolchain that test/setup/install.ts brought; undefined where it could not, and tests say so. */
export async function testCudaToolchain(): Promise<Toolchain | undefined> {
  const { toolchains } = await listToolchains(testToolchainsFolder);
  return toolchains.findLast(({ name }) => name === 'cuda');
}
