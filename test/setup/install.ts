/**
 * Brings what the tests need onto this machine: Debian packages (when root), a CUDA toolchain, sccache and, where
 * there is a recent Go, h2spec and an S3 server. Does nothing, in well under a second, when all is there. Where something
 * cannot be had it says so, and fails only in CI; without what Go builds it does not fail there either.
 */
import { installPackages } from '../../cli/doctor/install-packages.ts';
import { withSystemFolders } from '../../cli/toolchain/find-program.ts';
import { runProgram } from '../../cli/toolchain/run-program.ts';
import { debianPackages } from './debian-packages.ts';
import { installH2spec } from './h2spec.ts';
import { installSccache } from './install-sccache.ts';
import { installToolchain } from './install-toolchain.ts';
import { installVersitygw } from './install-versitygw.ts';

const options = {
  runProgram,
  environment: { ...process.env, PATH: withSystemFolders(process.env.PATH) },
  uid: process.getuid?.(),
  say: (text: string) => console.error(`test setup: ${text}`),
};
const havePackages = await installPackages({
  ...options,
  packages: debianPackages,
  without: 'without them the tests that need them are skipped',
});
const haveToolchain = await installToolchain(options);
const haveSccache = await installSccache(options);
await installVersitygw(options);
await installH2spec(options);
if (process.env.CI === 'true' && !(havePackages && haveToolchain && haveSccache)) process.exitCode = 1;
