import type { Digest } from '../../core/digest.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { BlobStore } from '../blob-store.ts';
import type { BlobHash, BlobLookup } from '../blobs/blob-lookup.ts';
import type { ChunkLists } from './chunk-lists.ts';

/** What a {@link ChunkedBlobLookup} depends on. */
export interface ChunkedBlobLookupDependencies {
  /** Finds blobs that are there as a whole. */
  readonly inner: BlobLookup;
  readonly lists: ChunkLists;
  /** Says whether all chunks of a listed blob are there. */
  readonly blobStore: BlobStore;
}

/** Finds by their hash also the blobs that are there as chunks. */
export class ChunkedBlobLookup implements BlobLookup {
  readonly #dependencies: ChunkedBlobLookupDependencies;

  constructor(dependencies: ChunkedBlobLookupDependencies) {
    this.#dependencies = dependencies;
  }

  async find(blob: BlobHash, options: IoOptions = {}): Promise<Digest | undefined> {
    const { inner, lists, blobStore } = this.#dependencies;
    const whole = await inner.find(blob, options);
    if (whole !== undefined) return whole;
    const listed = lists.find(blob);
    if (listed === undefined) return undefined;
    const [missing] = await blobStore.findMissing([listed], options);
    return missing === undefined ? listed : undefined;
  }
}
