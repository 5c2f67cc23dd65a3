import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isIngotError } from '../../core/error.ts';
import { describeToolchain } from '../../core/toolchain/toolchain.ts';
import {
  readToolchainManifest,
  type ToolchainManifest,
  writeToolchainManifest,
} from '../../core/toolchain/toolchain-manifest.ts';
import { fingerprintTree } from '../../core/toolchain/tree-fingerprint.ts';
import { identifyTree, type TreeIdentity } from '../../core/toolchain/tree-identity.ts';
import { CUDA_PARTS } from './cuda-tree.ts';
import type { HostNvcc } from './find-host-nvcc.ts';
import type { InstalledToolchain } from './install-cuda-toolchain.ts';
import type { OnInstallEvent } from './install-event.ts';
import type { RunProgram } from './run-program.ts';
import { StagingFolder } from './staging-folder.ts';
import { tryCudaTree } from './try-cuda-tree.ts';

interface AddHostToolchainOptions {
  readonly toolchainsFolder: string;
  readonly runProgram: RunProgram;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onEvent: OnInstallEvent;
  readonly signal?: AbortSignal | undefined;
  readonly nowMs: number;
}

/**
 * Makes a CUDA of this machine a toolchain: a manifest that points to it and holds the hash of its contents. Where
 * the same tree was added before and was not touched since, nothing is read again.
 */
export async function addHostToolchain(
  host: HostNvcc,
  options: AddHostToolchainOptions,
): Promise<InstalledToolchain> {
  const { toolchainsFolder, signal, nowMs, onEvent } = options;
  const folder = join(toolchainsFolder, `cuda-${host.version}-host`);
  const fingerprint = await fingerprintTree(host.root, CUDA_PARTS, { signal });
  if (await isCurrent(folder, host, fingerprint)) {
    return { toolchain: await describeToolchain(folder, { signal }), added: false };
  }

  await using staging = await StagingFolder.open(toolchainsFolder, { nowMs });
  onEvent({ step: 'try' });
  await tryCudaTree(host.root, { ...options, scratchFolder: join(staging.path, 'scratch') });
  onEvent({ step: 'identify' });
  const identity = await identifyTree(host.root, CUDA_PARTS, { signal });
  await mkdir(folder, { recursive: true });
  await writeToolchainManifest(folder, manifestOf(host, fingerprint, identity));
  return { toolchain: await describeToolchain(folder, { signal }), added: true };
}

async function isCurrent(folder: string, host: HostNvcc, fingerprint: string): Promise<boolean> {
  let manifest: ToolchainManifest;
  try {
    manifest = await readToolchainManifest(folder);
  } catch (error) {
    // None yet, or one that cannot be read: it is written anew.
    if (isIngotError(error)) return false;
    throw error;
  }
  return manifest.root === host.root && manifest.build === host.build && manifest.fingerprint === fingerprint;
}

function manifestOf(host: HostNvcc, fingerprint: string, identity: TreeIdentity): ToolchainManifest {
  return {
    schema: 1,
    name: 'cuda',
    version: host.version,
    build: host.build,
    source: 'host',
    root: host.root,
    parts: [...CUDA_PARTS],
    ...identity,
    fingerprint,
    pathFolders: ['bin'],
    rootVariables: ['CUDA_HOME'],
    packages: [],
  };
}
