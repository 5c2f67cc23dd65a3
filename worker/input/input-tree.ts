import type { BlobStore } from '../../cache/blob-store.ts';
import { walkTree } from '../../cache/tree/tree-walk.ts';
import type { Digest } from '../../core/digest.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Directory } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** All directories of an input root. */
export interface InputTree {
  readonly rootDigest: Digest;
  /** By the key of their digest. */
  readonly directories: ReadonlyMap<string, Directory>;
  /** Directories the store lacks. */
  readonly missing: readonly Digest[];
}

/** Fetches an input root's directories; INVALID_ARGUMENT when they are malformed or too many. */
export async function readInputTree(
  store: BlobStore,
  rootDigest: Digest,
  options: IoOptions = {},
): Promise<InputTree> {
  const directories = new Map<string, Directory>();
  const missing: Digest[] = [];
  for await (const { digest, directory } of walkTree(store, rootDigest, undefined, options)) {
    if (directory === undefined) missing.push(digest);
    else directories.set(digest.key, directory);
  }
  return { rootDigest, directories, missing };
}
