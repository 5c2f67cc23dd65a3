import { randomUUID } from 'node:crypto';
import { lstat, mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { throwIfAborted } from '../../core/abort.ts';
import { failedPrecondition, wrap } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { fileError, systemCodeOf } from './file-error.ts';

/**
 * Has `make` build something at a hidden path beside `target`, then renames it into place; what stood there goes.
 * Where either is a directory the old one is moved aside first, since a rename replaces no directory that holds
 * something; it comes back when the new one cannot take its place.
 */
export async function placeAtomically(
  target: string,
  what: string,
  make: (stagedPath: string) => Promise<void>,
  { signal }: IoOptions = {},
): Promise<void> {
  throwIfAborted(signal);
  const id = randomUUID().slice(0, 8);
  const beside = (suffix: string) => join(dirname(target), `.${basename(target).slice(0, 100)}.${suffix}`);
  const staged = beside(`ingot-${id}`);
  const old = beside(`ingot-old-${id}`);
  try {
    await mkdir(dirname(target), { recursive: true });
    await make(staged);
    if (
      (await kindOf(target)) !== undefined &&
      [await kindOf(target), await kindOf(staged)].includes('directory')
    ) {
      await rename(target, old);
    }
    await rename(staged, target).catch(async (error: unknown) => {
      await rename(old, target).catch(() => undefined);
      throw error;
    });
  } catch (error) {
    if (['EEXIST', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')) {
      throw failedPrecondition(`${what}: a part of its path is not a directory`, { cause: error });
    }
    throw systemCodeOf(error) === undefined ? wrap(error, what) : fileError(error, `write ${what}`);
  } finally {
    await remove(staged);
    await remove(old);
  }
}

async function kindOf(path: string): Promise<'directory' | 'other' | undefined> {
  const stats = await lstat(path).catch(() => undefined);
  return stats && (stats.isDirectory() ? 'directory' : 'other');
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    // Below something that is no directory there is nothing to remove, and `force` does not know it.
    if (systemCodeOf(error) !== 'ENOTDIR') throw error;
  }
}
