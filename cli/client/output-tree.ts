import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '../../cache/blob-store.ts';
import { mapConcurrent } from '../../core/concurrency.ts';
import { decodeMessage } from '../../core/decode-message.ts';
import { Digest } from '../../core/digest.ts';
import { checkDirectory, DIRECTORY_BYTES_MAX, parseDirectory } from '../../core/directory.ts';
import { dataLoss, notFound, resourceExhausted, wrap } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { collectBytes } from '../../core/streams.ts';
import {
  Directory,
  type OutputDirectory,
  Tree,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { writeBlobFile } from './write-blob-file.ts';

/** Largest Tree message we take into memory. */
const TREE_BYTES_MAX = 64 * 1024 * 1024;
/** Most files, directories and links one downloaded tree may unfold to; equal subtrees count each time. */
const NODES_MAX = 1_000_000;
/** Deepest directory, so that no tree exhausts the stack. */
const DEPTH_MAX = 256;
/** Files of one directory fetched at once. */
const FILES_AT_ONCE = 16;

/** A directory tree to be written to disk: the root, and where to find the others by digest. */
export interface DirectoryTree {
  readonly root: Directory;
  /** Throws DATA_LOSS when the directory is not there. */
  directory(digest: Digest, options?: IoOptions): Promise<Directory>;
}

/** The tree of an output directory, from its Tree message or, where there is none, from its root directory. */
export async function readTree(
  store: BlobStore,
  output: OutputDirectory,
  options: IoOptions = {},
): Promise<DirectoryTree> {
  if (output.treeDigest === undefined) {
    return treeOfDirectory(store, Digest.fromMessage(output.rootDirectoryDigest), options);
  }
  const bytes = await readWhole(store, Digest.fromMessage(output.treeDigest), TREE_BYTES_MAX, options);
  const { root, children } = decodeMessage(Tree, bytes, 'Tree');
  if (root === undefined) throw dataLoss(`output ${output.path}: its Tree has no root`);
  checkDirectory(root);
  const byKey = new Map<string, Directory>();
  for (const child of children) {
    checkDirectory(child);
    byKey.set(Digest.ofBytes(Directory.encode(child).finish()).key, child);
  }
  return {
    root,
    directory: async (digest) => {
      const found = byKey.get(digest.key);
      if (found === undefined) throw dataLoss(`output ${output.path}: its Tree lacks directory ${digest}`);
      return found;
    },
  };
}

/** The tree under a Directory in the store. */
export async function treeOfDirectory(
  store: BlobStore,
  digest: Digest,
  options: IoOptions = {},
): Promise<DirectoryTree> {
  const read = async (wanted: Digest, { signal }: IoOptions = {}) => {
    const bytes = await readWhole(store, wanted, DIRECTORY_BYTES_MAX, { signal });
    try {
      return parseDirectory(bytes);
    } catch (error) {
      throw wrap(error, `${wanted} is no directory's digest`);
    }
  };
  return { root: await read(digest, options), directory: read };
}

/** Writes a tree to a path where nothing is. Names were checked, so nothing lands outside. */
export async function materialiseTree(
  store: BlobStore,
  tree: DirectoryTree,
  path: string,
  { signal }: IoOptions = {},
): Promise<void> {
  let nodeCount = 0;
  const write = async (directory: Directory, at: string, depth: number): Promise<void> => {
    nodeCount += directory.files.length + directory.directories.length + directory.symlinks.length + 1;
    if (nodeCount > NODES_MAX || depth > DEPTH_MAX) {
      throw resourceExhausted(
        `tree has more than ${NODES_MAX} nodes or ${DEPTH_MAX} levels, the most that is written`,
      );
    }
    await mkdir(at);
    await mapConcurrent(
      directory.files,
      FILES_AT_ONCE,
      ({ name, digest, isExecutable }, laneSignal) =>
        writeBlobFile(store, digest, join(at, name), { isExecutable, signal: laneSignal }),
      { signal },
    );
    for (const { name, target } of directory.symlinks) await symlink(target, join(at, name));
    for (const { name, digest } of directory.directories) {
      await write(await tree.directory(Digest.fromMessage(digest), { signal }), join(at, name), depth + 1);
    }
  };
  await write(tree.root, path, 1);
}

async function readWhole(
  store: BlobStore,
  digest: Digest,
  bytesMax: number,
  options: IoOptions,
): Promise<Buffer> {
  const what = `directory ${digest}`;
  if (digest.sizeBytes > bytesMax) {
    throw resourceExhausted(
      `${what} has ${digest.sizeBytes} bytes, more than the ${bytesMax} that are accepted`,
    );
  }
  const source = await store.read(digest, undefined, options);
  if (source === undefined) throw notFound(`${what} is not in the farm`);
  return collectBytes(source, { bytesMax, what });
}
