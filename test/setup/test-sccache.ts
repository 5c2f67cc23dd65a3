import { fileURLToPath } from 'node:url';
import { isExecutableFile } from '../../cli/toolchain/find-program.ts';

/** Where the tests' sccache is unpacked: in the checkout, ignored by git, kept between runs. */
export const testSccacheFolder = fileURLToPath(new URL('../../.ingot/sccache-0.4.2', import.meta.url));

/** The sccache that test/setup/install.ts brought; undefined where it could not, and tests say so. */
export async function testSccache(): Promise<string | undefined> {
  const program = `${testSccacheFolder}/bin/sccache`;
  return (await isExecutableFile(program)) ? program : undefined;
}
