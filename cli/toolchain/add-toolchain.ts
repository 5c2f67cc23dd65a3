import { resolve } from 'node:path';
import { isIngotError } from '../../core/error.ts';
import type { Toolchain } from '../../core/toolchain/toolchain.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { CommandContext } from '../command-context.ts';
import { formatBytes } from '../output/format-bytes.ts';
import { UsageError } from '../usage-error.ts';
import { addHostToolchain } from './add-host-toolchain.ts';
import { CUDA_VERSION_DEFAULT, cudaRelease } from './cuda-release.ts';
import { inspectNvcc } from './find-host-nvcc.ts';
import { type InstalledToolchain, installCudaToolchain } from './install-cuda-toolchain.ts';
import { InstallProgress } from './install-progress.ts';
import { PipClient } from './pip-client.ts';
import { runProgram } from './run-program.ts';
import { toolchainFacts } from './toolchain-facts.ts';
import { chosenDataFolder, toolchainsFolder } from './toolchains-folder.ts';

/** Of `ingot toolchain add`. */
export interface AddToolchainOptions {
  readonly data?: string;
  readonly from?: string;
  readonly python?: string;
}

/** `ingot toolchain add NAME [VERSION]`: downloads one, or takes the one at `--from`. */
export async function addToolchain(
  { io, printer, signal }: CommandContext,
  options: AddToolchainOptions,
  [name = '', version]: readonly string[],
): Promise<void> {
  if (name !== 'cuda') throw new UsageError(`toolchain ${JSON.stringify(name)} is not known, expected cuda`);
  if (options.from !== undefined && version !== undefined) {
    throw new UsageError('--from takes the version that is there: name either a version or --from');
  }
  const { environment, cwd } = io;
  const folder = toolchainsFolder(chosenDataFolder({ data: options.data, environment, cwd }));
  const common = { toolchainsFolder: folder, runProgram, environment, signal, nowMs: Date.now() };

  const result = await withProgress(new InstallProgress(printer, titleOf(options, version)), (onEvent) =>
    options.from === undefined
      ? installCudaToolchain({
          ...common,
          onEvent,
          release: releaseOf(version ?? CUDA_VERSION_DEFAULT),
          pip: new PipClient({ runProgram, environment, python: options.python }),
        })
      : addFrom(resolve(cwd, options.from), { ...common, onEvent }),
  );
  sayResult(result, printer);
}

async function addFrom(
  root: string,
  options: Parameters<typeof addHostToolchain>[1],
): Promise<InstalledToolchain> {
  return addHostToolchain(await inspectNvcc(`${root}/bin/nvcc`, options), options);
}

async function withProgress<T>(
  progress: InstallProgress,
  work: (onEvent: InstallProgress['show']) => Promise<T>,
): Promise<T> {
  try {
    const result = await work(progress.show);
    progress.done();
    return result;
  } catch (error) {
    progress.fail('nothing was added');
    throw error;
  }
}

function titleOf({ from }: AddToolchainOptions, version: string | undefined): string {
  return from === undefined ? `CUDA ${version ?? CUDA_VERSION_DEFAULT}` : `the CUDA at ${from}`;
}

function releaseOf(version: string): ReturnType<typeof cudaRelease> {
  try {
    return cudaRelease(version, process.arch);
  } catch (error) {
    if (isIngotError(error, Code.INVALID_ARGUMENT)) throw new UsageError((error as Error).message);
    throw error;
  }
}

function sayResult({ toolchain, added }: InstalledToolchain, printer: CommandContext['printer']): void {
  printer.line(`${added ? 'added' : 'already there'}: ${toolchain.id} (${describe(toolchain)})`);
  printer.line(`  on this machine  ${toolchain.hostRoot}`);
  printer.line(`  in a sandbox     ${toolchain.mountPoint}`);
  printer.result({ ...toolchainFacts(toolchain), added });
}

function describe({ build, files, bytes }: Toolchain): string {
  return `nvcc ${build}, ${files} files, ${formatBytes(bytes)}`;
}
