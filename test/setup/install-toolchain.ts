import { installPackages } from '../../cli/doctor/install-packages.ts';
import type { SystemPackage } from '../../cli/doctor/system-package.ts';
import { CUDA_VERSION_DEFAULT, cudaRelease } from '../../cli/toolchain/cuda-release.ts';
import { ensureCudaToolchain } from '../../cli/toolchain/ensure-cuda-toolchain.ts';
import { PipClient } from '../../cli/toolchain/pip-client.ts';
import type { RunProgram } from '../../cli/toolchain/run-program.ts';
import { testCudaToolchain, testToolchainCommand, testToolchainsFolder } from './test-toolchain.ts';

const WITHOUT = 'without it the tests that compile CUDA are skipped';

const pipPackage: SystemPackage = {
  name: 'python3-pip',
  gives: 'pip',
  use: 'downloading the CUDA toolchain',
};

interface InstallToolchainOptions {
  readonly runProgram: RunProgram;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly uid: number | undefined;
  readonly say: (text: string) => void;
}

/** Brings the CUDA toolchain the tests use, by the code of `ingot toolchain add cuda`. True when it is there. */
export async function installToolchain(options: InstallToolchainOptions): Promise<boolean> {
  const { runProgram, environment, say } = options;
  if ((await testCudaToolchain()) !== undefined) return true;
  if (!(await hasPip(options)))
    await installPackages({ ...options, packages: [pipPackage], without: WITHOUT });
  try {
    const { toolchain, from } = await ensureCudaToolchain({
      toolchainsFolder: testToolchainsFolder,
      release: cudaRelease(CUDA_VERSION_DEFAULT, process.arch),
      pip: new PipClient({ runProgram, environment }),
      ...{ runProgram, environment },
      allowDownload: true,
      nowMs: Date.now(),
      onEvent: () => undefined,
    });
    say(`CUDA toolchain ${toolchain.id} (${from})`);
    return true;
  } catch (error) {
    say(`no CUDA toolchain: ${(error as Error).message}`);
    say(`bring it with: ${testToolchainCommand}`);
    say(WITHOUT);
    return false;
  }
}

async function hasPip({ runProgram, environment }: InstallToolchainOptions): Promise<boolean> {
  const pip = new PipClient({ runProgram, environment });
  return pip.check({ signal: undefined }).then(
    () => true,
    () => false,
  );
}
