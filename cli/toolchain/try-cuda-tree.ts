import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition, isIngotError } from '../../core/error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { HintedError } from '../hinted-error.ts';
import { findProgram } from './find-program.ts';
import type { ProgramResult, RunProgram } from './run-program.ts';

/** The architectures a toolchain must be able to compile for to be taken. */
export const CUDA_ARCHITECTURES = ['80', '86', '90'] as const;

/** One kernel takes two seconds here; a busy machine may need much more. */
const COMPILE_TIMEOUT_MS = 120_000;
const REASON_LINES_MAX = 4;

const KERNEL = `#include <cuda_runtime.h>
__global__ void twice(float *values) { values[threadIdx.x] *= 2.0f; }
int main() {
  twice<<<1, 32>>>(nullptr);
  return cudaGetLastError() == cudaSuccess ? 0 : 1;
}
`;

const VERSION_LINE = /release (\d+\.\d+), V(\d+(?:\.\d+)+)/;

/** What {@link tryCudaTree} needs. */
export interface TryCudaTreeOptions {
  readonly runProgram: RunProgram;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A folder that is not there yet; gone afterwards. */
  readonly scratchFolder: string;
  readonly signal?: AbortSignal | undefined;
}

/** What nvcc says of itself. */
export interface NvccVersion {
  /** `13.5`. */
  readonly version: string;
  /** `13.5.37`. */
  readonly build: string;
}

/**
 * Makes sure that the tree at `root` compiles a kernel for each of {@link CUDA_ARCHITECTURES} and links a program.
 * FAILED_PRECONDITION, with the compiler's own reason, when it does not.
 */
export async function tryCudaTree(root: string, options: TryCudaTreeOptions): Promise<NvccVersion> {
  const nvcc = join(root, 'bin', 'nvcc');
  const version = await nvccVersion(nvcc, options);
  await requireHostCompiler(options.environment.PATH);
  await mkdir(options.scratchFolder);
  try {
    await writeFile(join(options.scratchFolder, 'twice.cu'), KERNEL);
    const targets = CUDA_ARCHITECTURES.map((arch) => `-gencode=arch=compute_${arch},code=sm_${arch}`);
    await mustMake('twice.o', [nvcc, ...targets, '-c', 'twice.cu', '-o', 'twice.o'], options);
    await mustMake('twice', [nvcc, '--no-device-link', 'twice.o', '-o', 'twice'], options);
  } finally {
    await rm(options.scratchFolder, { recursive: true, force: true });
  }
  return version;
}

/** Asks an nvcc for its version. */
export async function nvccVersion(
  nvcc: string,
  { runProgram, environment, signal }: Pick<TryCudaTreeOptions, 'runProgram' | 'environment' | 'signal'>,
): Promise<NvccVersion> {
  let result: ProgramResult;
  try {
    result = await runProgram([nvcc, '--version'], { environment, signal, timeoutMs: COMPILE_TIMEOUT_MS });
  } catch (error) {
    if (!isIngotError(error, Code.NOT_FOUND)) throw error;
    throw failedPrecondition(`ask ${nvcc} for its version: it cannot be run on this machine`, {
      cause: error,
    });
  }
  const [, version, build] = VERSION_LINE.exec(result.stdout) ?? [];
  if (result.exitCode === 0 && version !== undefined && build !== undefined) return { version, build };
  throw failedPrecondition(
    `ask ${nvcc} for its version: ${reasonOf(result)}, expected a line with "release 13.5, V13.5.37"`,
  );
}

async function requireHostCompiler(path: string | undefined): Promise<void> {
  if ((await findProgram('g++', path)) !== undefined) return;
  throw new HintedError(
    failedPrecondition('try the CUDA toolchain: no g++ on this machine, which nvcc needs for the host side'),
    'apt-get install --no-install-recommends g++',
  );
}

async function mustMake(
  file: string,
  argv: readonly string[],
  { runProgram, environment, scratchFolder, signal }: TryCudaTreeOptions,
): Promise<void> {
  const result = await runProgram(argv, {
    // What a person set for nvcc (NVCC_APPEND_FLAGS and others) is not there in a sandbox either.
    environment: { PATH: environment.PATH, LANG: 'C', TMPDIR: scratchFolder },
    folder: scratchFolder,
    signal,
    timeoutMs: COMPILE_TIMEOUT_MS,
  });
  const made = await stat(join(scratchFolder, file)).catch(() => undefined);
  if (result.exitCode === 0 && made?.isFile()) return;
  throw failedPrecondition(`try the CUDA toolchain: ${argv.join(' ')}: ${reasonOf(result)}`);
}

function reasonOf({ exitCode, stdout, stderr }: ProgramResult): string {
  const lines = `${stderr}\n${stdout}`.split('\n').filter((line) => line.trim() !== '');
  const words = lines.slice(0, REASON_LINES_MAX).join('; ');
  return words === '' ? `exit code ${exitCode} and nothing said` : words;
}
