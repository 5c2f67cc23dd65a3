import { notFound } from '../../core/error.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { ChunkList } from './chunk-list.ts';

/**
 * A blob's bytes as they stand in its chunks, which are in the store that it was made for. To a store that knows of
 * chunks, `write` with such a source says of which chunks the blob consists; to any other it is a stream of bytes.
 * Nothing is believed: who takes the list hashes the bytes first.
 */
export class ChunkedBytes implements AsyncIterable<Uint8Array> {
  readonly list: ChunkList;
  readonly #store: BlobStore;
  readonly #options: BlobOptions;

  constructor(list: ChunkList, store: BlobStore, options: BlobOptions = {}) {
    this.list = list;
    this.#store = store;
    this.#options = options;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (const chunk of this.list.chunks) {
      const source = await this.#store.read(chunk, undefined, this.#options);
      if (source === undefined) throw notFound(`chunk ${chunk} is not here`);
      yield* source;
    }
  }
}
