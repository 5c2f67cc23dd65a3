import { createHash, hash as digestOf } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';
import { abortReason, throwIfAborted } from '../abort.ts';
import { failedPrecondition, resourceExhausted } from '../error.ts';
import type { IoOptions } from '../io-options.ts';
import { type HostTreeEntry, walkHostTree } from './host-tree.ts';

/** More is not hashed at start-up: a minute of reading from a good disk. CUDA with every library has 10 GB. */
const BYTES_MAX = 64 * 1024 ** 3;
/** Files up to this size are read whole, larger ones in pieces of it: opening a stream costs more than reading. */
const READ_CHUNK_BYTES = 1024 * 1024;
/** Any execute bit counts as executable, as REAPI's `is_executable` does. */
const EXECUTE_BITS = 0o111n;

/** What a tree's contents are, told by a hash that is the same on every machine that holds the same tree. */
export interface TreeIdentity {
  /** Lower-case hex of a SHA-256 over every path, kind, execute bit, link target and content. */
  readonly identity: string;
  /** Distinct files and their bytes. */
  readonly files: number;
  readonly bytes: number;
}

/**
 * Reads and hashes everything below the named top-level folders of `root` (1.5 GB/s). Owners, times and other mode
 * bits do not count. FAILED_PRECONDITION when there is nothing, or a device or socket, in it.
 */
export async function identifyTree(
  root: string,
  parts: readonly string[],
  options: IoOptions = {},
): Promise<TreeIdentity> {
  const total = createHash('sha256').update('ingot tree 1\n');
  const known = new Map<string, string>();
  let files = 0;
  let bytes = 0;
  for await (const entry of walkHostTree(root, parts, options)) {
    if (entry.stats.isFile() && !known.has(inodeOf(entry))) {
      files += 1;
      bytes += Number(entry.stats.size);
      if (bytes > BYTES_MAX) throw resourceExhausted(`identify tree ${root}: more than ${BYTES_MAX} bytes`);
    }
    total.update(`${entry.path}\0${await describeEntry(entry, known, options)}\n`);
  }
  if (files === 0) {
    throw failedPrecondition(
      `identify tree ${root}: no file below ${parts.join(', ')}, expected a toolchain`,
    );
  }
  return { identity: total.digest('hex'), files, bytes };
}

async function describeEntry(
  entry: HostTreeEntry,
  known: Map<string, string>,
  options: IoOptions,
): Promise<string> {
  const { stats, absolutePath } = entry;
  if (stats.isDirectory()) return 'folder';
  if (stats.isSymbolicLink()) return `link ${await readlink(absolutePath)}`;
  if (!stats.isFile()) {
    throw failedPrecondition(`identify tree: ${absolutePath} is a device, pipe or socket, expected a file`);
  }
  // Toolkits show one folder under several names (`include`, `targets/…/include`): each file is read once.
  const inode = inodeOf(entry);
  const hash = known.get(inode) ?? (await hashFile(entry, options));
  known.set(inode, hash);
  return `${(stats.mode & EXECUTE_BITS) === 0n ? 'file' : 'program'} ${hash}`;
}

function inodeOf({ stats }: HostTreeEntry): string {
  return `${stats.dev}:${stats.ino}`;
}

async function hashFile({ absolutePath, stats }: HostTreeEntry, { signal }: IoOptions): Promise<string> {
  throwIfAborted(signal);
  if (stats.size <= READ_CHUNK_BYTES) return digestOf('sha256', await readFile(absolutePath));
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(absolutePath, { highWaterMark: READ_CHUNK_BYTES, signal })) {
      hash.update(chunk as Uint8Array);
    }
  } catch (error) {
    if (signal?.aborted) throw abortReason(signal);
    throw error;
  }
  return hash.digest('hex');
}
