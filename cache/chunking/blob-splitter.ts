import type { Digest } from '../../core/digest.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { ChunkList } from './chunk-list.ts';

/** Says of which chunks a blob consists: what is behind SplitBlob. */
export interface BlobSplitter {
  /**
   * The chunks, all of them present in the store for its caller; undefined when the blob is absent from it. A blob that
   * was never cut may be cut now.
   */
  split(digest: Digest, store: BlobStore, options?: BlobOptions): Promise<ChunkList | undefined>;
}
