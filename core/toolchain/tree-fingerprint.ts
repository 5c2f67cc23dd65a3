import { createHash } from 'node:crypto';
import type { IoOptions } from '../io-options.ts';
import { walkHostTree } from './host-tree.ts';

/**
 * A quick hash of a tree's inodes, sizes, modes and times, without reading a file (30 ms for 2,500 of them). Equal
 * means that nothing was touched on this machine; different means only that the contents must be looked at.
 */
export async function fingerprintTree(
  root: string,
  parts: readonly string[],
  options: IoOptions = {},
): Promise<string> {
  const hash = createHash('sha256');
  for await (const { path, stats } of walkHostTree(root, parts, options)) {
    // A folder's own times change with temporary entries; its lasting entries are in the hash themselves.
    const facts = stats.isDirectory()
      ? [stats.mode]
      : [stats.mode, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs];
    hash.update(`${path}\0${facts.join(' ')}\n`);
  }
  return hash.digest('hex');
}
