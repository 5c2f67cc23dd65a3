import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type IngotError, isIngotError, notFound } from '../../core/error.ts';
import { requireCudaTree } from './cuda-tree.ts';
import { findPrograms, isExecutableFile } from './find-program.ts';
import type { RunProgram } from './run-program.ts';
import { type NvccVersion, nvccVersion } from './try-cuda-tree.ts';

const DRYRUN_TIMEOUT_MS = 30_000;

/** Where NVIDIA's own packages put the current version. */
const USUAL_ROOT = '/usr/local/cuda';

/** nvcc prints where it takes itself to be before the commands it would run. */
const TOP_LINE = /^#\$ TOP=(.+)$/m;

interface FindHostNvccOptions {
  readonly runProgram: RunProgram;
  /** PATH and CUDA_HOME are looked at. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Default `/usr/local/cuda`. */
  readonly usualRoot?: string;
  readonly signal?: AbortSignal | undefined;
}

/** An nvcc of this machine, with its whole tree in one folder, so that it can be mounted into a sandbox. */
export interface HostNvcc extends NvccVersion {
  /** The nvcc that was found first, as a person would name it. */
  readonly nvcc: string;
  /** The root of its tree, symbolic links resolved. */
  readonly root: string;
}

/** What {@link findHostNvcc} saw. */
export interface HostNvccSearch {
  readonly found: HostNvcc | undefined;
  /** Every nvcc that is there and cannot be used, and why. */
  readonly problems: readonly IngotError[];
}

/**
 * Looks for an nvcc on PATH, then in CUDA_HOME, then in /usr/local/cuda. It is asked for its root, since the
 * program on PATH may be a link or a wrapper. One that is spread over the system's folders cannot be mounted.
 */
export async function findHostNvcc(options: FindHostNvccOptions): Promise<HostNvccSearch> {
  const { environment, usualRoot = USUAL_ROOT } = options;
  const candidates = await findPrograms('nvcc', environment.PATH);
  for (const root of [environment.CUDA_HOME, usualRoot]) {
    if (root !== undefined && root !== '') candidates.push(join(root, 'bin', 'nvcc'));
  }
  const problems: IngotError[] = [];
  for (const nvcc of new Set(candidates)) {
    if (!(await isExecutableFile(nvcc))) continue;
    try {
      return { found: await inspectNvcc(nvcc, options), problems };
    } catch (error) {
      if (options.signal?.aborted || !isIngotError(error)) throw error;
      problems.push(error);
    }
  }
  return { found: undefined, problems };
}

/** The tree that an nvcc belongs to. FAILED_PRECONDITION when it is not whole or not in one folder. */
export async function inspectNvcc(nvcc: string, options: FindHostNvccOptions): Promise<HostNvcc> {
  const version = await nvccVersion(nvcc, options);
  const root = await rootOf(nvcc, options);
  await requireCudaTree(root);
  return { nvcc, root, ...version };
}

async function rootOf(
  nvcc: string,
  { runProgram, environment, signal }: FindHostNvccOptions,
): Promise<string> {
  // A dry run does not look at its input.
  const { stdout, stderr } = await runProgram([nvcc, '--dryrun', '-c', 'none.cu'], {
    environment,
    signal,
    timeoutMs: DRYRUN_TIMEOUT_MS,
  });
  const top = TOP_LINE.exec(`${stdout}\n${stderr}`)?.[1]?.trim();
  const named = top ?? dirname(dirname(await realpath(nvcc)));
  try {
    return await realpath(named);
  } catch (error) {
    throw notFound(`look at ${nvcc}: it says that it belongs to ${named}, which is not there`, {
      cause: error,
    });
  }
}
