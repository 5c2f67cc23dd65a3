import { chmod, lstat, readdir, rename, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition } from '../../core/error.ts';

/** The top-level folders of a CUDA tree that nvcc reads, whichever way it was installed. */
export const CUDA_PARTS = ['bin', 'include', 'lib', 'lib64', 'nvvm', 'targets'] as const;

/** Where the 13.x wheels put their files, from the folder they are unpacked into. */
const WHEEL_ROOT = join('nvidia', 'cu13');

/** What a tree must have to compile and link. */
const REQUIRED = ['bin/nvcc', 'bin/ptxas', 'bin/fatbinary', 'nvvm/bin/cicc', 'include/cuda_runtime.h'];

/**
 * Makes one tree of what the wheels unpacked to, readable for every user of the machine, and returns its path.
 * FAILED_PRECONDITION when something that nvcc needs is not in it.
 */
export async function arrangeCudaTree(unpacked: string): Promise<string> {
  const root = join(unpacked, WHEEL_ROOT);
  await requireCudaTree(root);
  // The nvcc.profile of some releases names lib64, of others lib.
  if (!(await exists(join(root, 'lib64')))) await symlink('lib', join(root, 'lib64'));
  // The licences stay with what they license.
  for (const name of await readdir(unpacked)) {
    if (name.endsWith('.dist-info')) await rename(join(unpacked, name), join(root, name));
  }
  await makeReadable(root);
  return root;
}

/** FAILED_PRECONDITION, naming the file, when `root` is not the root of a whole CUDA tree. */
export async function requireCudaTree(root: string): Promise<void> {
  for (const path of REQUIRED) {
    if (!(await exists(join(root, path)))) {
      throw failedPrecondition(`look at CUDA tree: no ${path} in ${root}, expected a whole toolkit`);
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** Actions run under other users: folders and programs 755, files 644, nothing setuid. */
async function makeReadable(path: string): Promise<void> {
  const stats = await lstat(path);
  if (stats.isDirectory()) {
    await chmod(path, 0o755);
    for (const name of await readdir(path)) await makeReadable(join(path, name));
  } else if (stats.isFile()) {
    await chmod(path, (stats.mode & 0o111) === 0 ? 0o644 : 0o755);
  }
}
