import type { BigIntStats } from 'node:fs';
import { lstat, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { mapConcurrent } from '../concurrency.ts';
import { resourceExhausted } from '../error.ts';
import type { IoOptions } from '../io-options.ts';

/** A tree with more entries is no toolchain but a mistake, such as naming a home folder; CUDA in full has 15,000. */
const ENTRIES_MAX = 300_000;
/** As many as Node's own thread pool can use. */
const LSTATS_AT_ONCE = 8;

/** One entry below a folder of this machine. */
export interface HostTreeEntry {
  /** From the tree's root, with `/`: `bin/nvcc`. */
  readonly path: string;
  /** Where it can be opened, symbolic links above it resolved. */
  readonly absolutePath: string;
  readonly stats: BigIntStats;
}

/**
 * Everything below the named top-level folders of `root` (those that exist), always in the same order. A top-level
 * folder that is a symbolic link is entered; links further down are yielded and not followed.
 */
export async function* walkHostTree(
  root: string,
  parts: readonly string[],
  options: IoOptions = {},
): AsyncGenerator<HostTreeEntry> {
  let count = 0;
  for (const part of [...parts].sort()) {
    const top = await realFolder(join(root, part));
    const folders = top === undefined ? [] : [{ path: part, absolutePath: top }];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      const entries = await readFolder(folder, options);
      count += entries.length;
      if (count > ENTRIES_MAX) {
        throw resourceExhausted(
          `read tree ${root}: more than ${ENTRIES_MAX} entries below ${parts.join(', ')}`,
        );
      }
      yield* entries;
      folders.push(...entries.filter(({ stats }) => stats.isDirectory()));
    }
  }
}

async function readFolder(
  folder: { readonly path: string; readonly absolutePath: string },
  options: IoOptions,
): Promise<HostTreeEntry[]> {
  const names = (await readdir(folder.absolutePath)).sort();
  return mapConcurrent(
    names,
    LSTATS_AT_ONCE,
    async (name) => ({
      path: `${folder.path}/${name}`,
      absolutePath: join(folder.absolutePath, name),
      stats: await lstat(join(folder.absolutePath, name), { bigint: true }),
    }),
    options,
  );
}

/** The folder that `path` is or leads to; undefined when there is none. */
export async function realFolder(path: string): Promise<string | undefined> {
  try {
    const real = await realpath(path);
    return (await lstat(real)).isDirectory() ? real : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
