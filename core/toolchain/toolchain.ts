import { join, resolve } from 'node:path';
import { failedPrecondition } from '../error.ts';
import type { IoOptions } from '../io-options.ts';
import { realFolder } from './host-tree.ts';
import { readToolchainManifest, type ToolchainManifest } from './toolchain-manifest.ts';
import { fingerprintTree } from './tree-fingerprint.ts';
import { identifyTree } from './tree-identity.ts';

/** Where toolchains appear inside a sandbox. Outputs may hold paths of it, so it is the same on every worker. */
const MOUNT_FOLDER = '/opt/ingot';
/** Enough of the identity to tell two trees of one version apart; a PATH with it in finds that tree or nothing. */
const IDENTITY_DIGITS = 12;

/** A folder of this machine and where an action sees it, read-only. */
export interface ToolchainMount {
  readonly source: string;
  readonly target: string;
}

/** A toolchain on this machine, checked to be what its manifest says. */
export interface Toolchain {
  /** `cuda-13.5-0123456789ab`: the value of the `toolchain` platform property; different for different trees. */
  readonly id: string;
  /** `cuda`. */
  readonly name: string;
  /** `13.5`. */
  readonly version: string;
  /** `13.5.37`. */
  readonly build: string;
  readonly source: ToolchainManifest['source'];
  /** Lower-case hex SHA-256 of the contents of all that is mounted. */
  readonly identity: string;
  readonly files: number;
  readonly bytes: number;
  /** The folder with the manifest. */
  readonly folder: string;
  /** The tree on this machine, for use without a sandbox. */
  readonly hostRoot: string;
  /** The tree inside a sandbox: `/opt/ingot/` and the id. */
  readonly mountPoint: string;
  /** What to bind read-only so that the tree is at the mount point. */
  readonly mounts: readonly ToolchainMount[];
  /** To put before the rest of PATH, inside the sandbox. */
  readonly pathEntries: readonly string[];
  /** To set beside PATH, inside the sandbox. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Reads a toolchain's folder and makes sure that its tree is still the one the manifest was written for: by the
 * fingerprint (quick), else by hashing all of it (as after a copy). FAILED_PRECONDITION when it is another.
 */
export async function describeToolchain(folder: string, options: IoOptions = {}): Promise<Toolchain> {
  const manifest = await readToolchainManifest(folder);
  const hostRoot = resolve(folder, manifest.root);
  await checkUnchanged(manifest, hostRoot, options);

  const { name, version, build, source, identity, files, bytes } = manifest;
  const id = `${name}-${version}-${identity.slice(0, IDENTITY_DIGITS)}`;
  const mountPoint = `${MOUNT_FOLDER}/${id}`;
  return {
    ...{ id, name, version, build, source, identity, files, bytes, hostRoot, mountPoint },
    folder: resolve(folder),
    mounts: await mountsOf(manifest, hostRoot, mountPoint),
    pathEntries: manifest.pathFolders.map((path) => `${mountPoint}/${path}`),
    environment: Object.fromEntries(manifest.rootVariables.map((variable) => [variable, mountPoint])),
  };
}

async function checkUnchanged(
  { name, version, parts, fingerprint, identity, source }: ToolchainManifest,
  hostRoot: string,
  options: IoOptions,
): Promise<void> {
  if ((await fingerprintTree(hostRoot, parts, options)) === fingerprint) return;
  const seen = await identifyTree(hostRoot, parts, options);
  if (seen.identity === identity) return;
  const change = source === 'host' ? 'was changed on this machine' : 'is damaged or was changed';
  throw failedPrecondition(
    `check toolchain ${name} ${version}: ${hostRoot} ${change} since it was added: ` +
      `its contents hash to ${seen.identity}, expected ${identity}`,
  );
}

async function mountsOf(
  { parts }: ToolchainManifest,
  hostRoot: string,
  mountPoint: string,
): Promise<ToolchainMount[]> {
  const mounts: ToolchainMount[] = [];
  for (const part of parts) {
    const source = await realFolder(join(hostRoot, part));
    if (source !== undefined) mounts.push({ source, target: `${mountPoint}/${part}` });
  }
  return mounts;
}
