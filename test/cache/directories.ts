import type { BlobStore } from '../../cache/blob-store.ts';
import { Digest } from '../../core/digest.ts';
import { bytesOf } from '../../core/streams.ts';
import { Directory, Tree } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** A directory of files and subdirectories by name. */
export function directory(
  files: Record<string, Digest> = {},
  directories: Record<string, Digest> = {},
): Directory {
  const nodes = (digests: Record<string, Digest>) =>
    Object.entries(digests).map(([name, digest]) => ({ name, digest: digest.toMessage() }));
  return {
    files: nodes(files).map((node) => ({ ...node, isExecutable: false, nodeProperties: undefined })),
    directories: nodes(directories),
    symlinks: [],
    nodeProperties: undefined,
  };
}

/** The directory's bytes and digest. */
export function encoded(message: Directory) {
  const bytes = Directory.encode(message).finish();
  return { bytes, digest: Digest.ofBytes(bytes) };
}

/** Stores bytes and returns their digest. */
export async function store(blobStore: BlobStore, bytes: Uint8Array): Promise<Digest> {
  const digest = Digest.ofBytes(bytes);
  await blobStore.write(digest, bytesOf(bytes));
  return digest;
}

/** Stores a directory and returns its digest. */
export async function storeDirectory(blobStore: BlobStore, message: Directory): Promise<Digest> {
  return store(blobStore, encoded(message).bytes);
}

/** Stores a Tree and returns its digest. */
export async function storeTree(
  blobStore: BlobStore,
  root: Directory,
  children: Directory[] = [],
): Promise<Digest> {
  return store(blobStore, Tree.encode({ root, children }).finish());
}
