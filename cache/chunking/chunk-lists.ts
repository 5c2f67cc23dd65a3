import type { Digest } from '../../core/digest.ts';
import type { BlobHash } from '../blobs/blob-lookup.ts';
import type { ChunkList } from './chunk-list.ts';

/**
 * Which blobs consist of which chunks. A list is filed only when the chunks' bytes were seen to be the blob's; it says
 * nothing of whether the chunks are still there. Holds for all instances: who has every chunk has the blob.
 */
export interface ChunkLists {
  /** Whether there is a list; costs a look into a map. */
  has(digest: Digest): boolean;
  /** The digest of a listed blob, by hash alone. */
  find(blob: BlobHash): Digest | undefined;
  /** The list, or undefined; counts as a use of it. */
  get(digest: Digest): Promise<ChunkList | undefined>;
  /** Files the list, unless the blob has one; resolves when it is durable. */
  put(digest: Digest, list: ChunkList): Promise<void>;
  /** Forgets the list. */
  drop(digest: Digest): Promise<void>;
}
