import { rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../../core/abort.ts';
import { isIngotError, resourceExhausted, wrap } from '../../core/error.ts';
import { describeToolchain, type Toolchain } from '../../core/toolchain/toolchain.ts';
import { writeToolchainManifest } from '../../core/toolchain/toolchain-manifest.ts';
import { fingerprintTree } from '../../core/toolchain/tree-fingerprint.ts';
import { identifyTree } from '../../core/toolchain/tree-identity.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { HintedError } from '../hinted-error.ts';
import { formatBytes } from '../output/format-bytes.ts';
import { CUDA_DISK_BYTES, type CudaRelease } from './cuda-release.ts';
import { arrangeCudaTree, CUDA_PARTS } from './cuda-tree.ts';
import { downloadWheels } from './download-wheels.ts';
import type { OnInstallEvent } from './install-event.ts';
import type { PipClient } from './pip-client.ts';
import type { RunProgram } from './run-program.ts';
import { StagingFolder } from './staging-folder.ts';
import { tryCudaTree } from './try-cuda-tree.ts';

/** What {@link installCudaToolchain} needs. */
export interface InstallCudaOptions {
  /** `DATA/toolchains`; made when missing. */
  readonly toolchainsFolder: string;
  readonly release: CudaRelease;
  readonly pip: PipClient;
  readonly runProgram: RunProgram;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onEvent: OnInstallEvent;
  readonly signal?: AbortSignal | undefined;
  readonly nowMs: number;
}

/** A toolchain that is there now. */
export interface InstalledToolchain {
  readonly toolchain: Toolchain;
  /** False when it was there already, and nothing was done. */
  readonly added: boolean;
}

/**
 * Downloads NVIDIA's wheels, makes one tree of them, tries it out and renames it into place: either a whole tool-
 * chain that works is there afterwards, or nothing is. Aborting leaves nothing behind. Safe to run twice at once.
 */
export async function installCudaToolchain(options: InstallCudaOptions): Promise<InstalledToolchain> {
  const { toolchainsFolder, release, pip, signal, nowMs, onEvent } = options;
  const folder = join(toolchainsFolder, `cuda-${release.version}`);
  const present = await presentToolchain(folder, signal);
  if (present !== undefined) return { toolchain: present, added: false };

  await pip.check({ signal });
  await using staging = await StagingFolder.open(toolchainsFolder, { nowMs });
  await requireDisk(staging.path);
  const temporaryFolder = await staging.subfolder('tmp');
  const wheels = await downloadWheels(release, { pip, staging, temporaryFolder, onEvent, signal });
  const packedBytes = wheels.packages.reduce((sum, { bytes }) => sum + bytes, 0);
  onEvent({ step: 'unpack', wheels: wheels.paths.length, bytes: packedBytes });
  const unpacked = await staging.subfolder('unpacked');
  await pip.unpack(wheels.paths, unpacked, { temporaryFolder, signal });
  const root = await arrangeCudaTree(unpacked);

  onEvent({ step: 'try' });
  const { version, build } = await tryCudaTree(root, {
    ...options,
    scratchFolder: join(staging.path, 'scratch'),
  });

  onEvent({ step: 'identify' });
  const fingerprint = await fingerprintTree(root, CUDA_PARTS, { signal });
  await writeToolchainManifest(root, {
    schema: 1,
    ...{ name: 'cuda', version, build, source: 'packages', root: '.', fingerprint },
    ...(await identifyTree(root, CUDA_PARTS, { signal })),
    parts: [...CUDA_PARTS],
    pathFolders: ['bin'],
    rootVariables: ['CUDA_HOME'],
    packages: wheels.packages,
  });
  throwIfAborted(signal);
  const added = await moveIntoPlace(root, folder);
  return { toolchain: await describeToolchain(folder, { signal }), added };
}

/** One that is whole. A damaged one is named, not mended: something may be using it. */
async function presentToolchain(
  folder: string,
  signal: AbortSignal | undefined,
): Promise<Toolchain | undefined> {
  try {
    return await describeToolchain(folder, { signal });
  } catch (error) {
    if (isIngotError(error, Code.NOT_FOUND)) return undefined;
    if (!isIngotError(error, Code.FAILED_PRECONDITION)) throw error;
    throw new HintedError(wrap(error, 'add toolchain'), `remove ${folder} and run the command again`);
  }
}

async function requireDisk(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= CUDA_DISK_BYTES) return;
  throw resourceExhausted(
    `add toolchain: ${formatBytes(freeBytes)} free at ${folder}, expected ${formatBytes(CUDA_DISK_BYTES)}`,
  );
}

/** False when another process was first; both made the same, so theirs is taken. */
async function moveIntoPlace(root: string, folder: string): Promise<boolean> {
  try {
    await rename(root, folder);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    await rm(root, { recursive: true, force: true });
    return false;
  }
}
