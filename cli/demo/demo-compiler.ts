import { isIngotError } from '../../core/error.ts';
import type { Toolchain } from '../../core/toolchain/toolchain.ts';
import type { CommandContext } from '../command-context.ts';
import { HintedError } from '../hinted-error.ts';
import { formatBytes } from '../output/format-bytes.ts';
import { CUDA_VERSION_DEFAULT, cudaRelease } from '../toolchain/cuda-release.ts';
import { type EnsuredToolchain, ensureCudaToolchain } from '../toolchain/ensure-cuda-toolchain.ts';
import { InstallProgress } from '../toolchain/install-progress.ts';
import { PipClient } from '../toolchain/pip-client.ts';
import { runProgram } from '../toolchain/run-program.ts';

interface DemoCompilerOptions {
  readonly toolchainsFolder: string;
  readonly allowDownload: boolean;
}

/** The CUDA toolchain the demo compiles with, or why there is none and it compiles C++. */
export type DemoCompiler =
  | { readonly toolchain: Toolchain; readonly sentence: string }
  | { readonly toolchain: undefined; readonly sentence: string };

/** Finds an nvcc, brings one where that is allowed, and says which it is. */
export async function findDemoCompiler(
  { io, printer, signal }: CommandContext,
  { toolchainsFolder, allowDownload }: DemoCompilerOptions,
): Promise<DemoCompiler> {
  const { environment } = io;
  const progress = new InstallProgress(printer, `CUDA ${CUDA_VERSION_DEFAULT} from PyPI`);
  try {
    const ensured = await ensureCudaToolchain({
      toolchainsFolder,
      allowDownload,
      release: cudaRelease(CUDA_VERSION_DEFAULT, process.arch),
      pip: new PipClient({ runProgram, environment }),
      runProgram,
      environment,
      signal,
      onEvent: progress.show,
      nowMs: Date.now(),
    });
    progress.done();
    for (const { message } of ensured.problems) printer.warn(message);
    return { toolchain: ensured.toolchain, sentence: sentenceOn(ensured) };
  } catch (error) {
    const reason = error instanceof HintedError ? error.cause : error;
    if (signal.aborted || !isIngotError(reason)) throw error;
    progress.fail(reason.message);
    const why = allowDownload ? reason.message : `${reason.message}, and --no-download forbids to bring one`;
    return { toolchain: undefined, sentence: `no CUDA compiler, so this compiles C++ instead: ${why}` };
  }
}

function sentenceOn({ toolchain, from }: EnsuredToolchain): string {
  const { build, bytes, hostRoot } = toolchain;
  switch (from) {
    case 'host':
      return `nvcc ${build} of this machine, in ${hostRoot}`;
    case 'data folder':
      return `nvcc ${build}, brought earlier to ${hostRoot}`;
    case 'download':
      return `nvcc ${build}, downloaded to ${hostRoot} (${formatBytes(bytes)}; later demos find it there)`;
  }
}
