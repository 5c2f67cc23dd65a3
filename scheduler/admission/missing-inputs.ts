import type { BlobOptions, BlobStore } from '../../cache/blob-store.ts';
import { walkTree } from '../../cache/tree/tree-walk.ts';
import { Digest } from '../../core/digest.ts';
import { wrap } from '../../core/error.ts';

/** Digests asked for at once. */
const FIND_MISSING_DIGESTS = 1000;

/** Where {@link missingInputs} looks. */
export interface InputStores {
  /** Where directories are read; may remember them. */
  readonly directories: BlobStore;
  /** Who knows what is there now. */
  readonly blobs: BlobStore;
}

/**
 * Everything below an input root that is absent: directories and files, each once. What is there is thereby used, so that
 * it is not the next to be evicted. INVALID_ARGUMENT when a directory is malformed or the tree beyond its limits.
 */
export async function missingInputs(
  { directories, blobs }: InputStores,
  rootDigest: Digest,
  options: BlobOptions = {},
): Promise<Digest[]> {
  const referred = new Map<string, Digest>();
  try {
    for await (const { digest, directory } of walkTree(directories, rootDigest, undefined, options)) {
      referred.set(digest.key, digest);
      for (const node of directory?.files ?? []) {
        const file = Digest.fromMessage(node.digest, rootDigest.digestFunction);
        referred.set(file.key, file);
      }
    }
  } catch (error) {
    throw wrap(error, `input root ${rootDigest}`);
  }
  const digests = [...referred.values()];
  const missing: Digest[] = [];
  for (let start = 0; start < digests.length; start += FIND_MISSING_DIGESTS) {
    missing.push(...(await blobs.findMissing(digests.slice(start, start + FIND_MISSING_DIGESTS), options)));
  }
  return missing;
}
