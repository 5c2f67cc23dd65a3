import type { BlobStore } from '../../cache/blob-store.ts';
import { mapConcurrent } from '../../core/concurrency.ts';
import { internal, isIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { StoreRetries } from '../store-retries.ts';
import type { OutputBlob } from './output-blob.ts';

/** Digests asked for at once; about 70 KB of request. */
const DIGESTS_PER_QUESTION = 1000;
/** Blobs of one action under way at once: enough to fill the batches of a remote store. */
const UPLOADS_AT_ONCE = 32;

export interface BlobUploaderDependencies {
  readonly blobStore: BlobStore;
  readonly retries: StoreRetries;
}

/** Stores what an action made. */
export class BlobUploader {
  readonly #blobStore: BlobStore;
  readonly #retries: StoreRetries;

  constructor({ blobStore, retries }: BlobUploaderDependencies) {
    this.#blobStore = blobStore;
    this.#retries = retries;
  }

  /** Resolves when every blob is durable; those the store has are not sent. */
  async upload(blobs: readonly OutputBlob[], options: IoOptions = {}): Promise<void> {
    const distinct = [...new Map(blobs.map((blob) => [blob.digest.key, blob])).values()];
    for (let start = 0; start < distinct.length; start += DIGESTS_PER_QUESTION) {
      const part = distinct.slice(start, start + DIGESTS_PER_QUESTION);
      const digests = part.map(({ digest }) => digest);
      const missing = await this.#retries.run(
        'find missing outputs',
        () => this.#blobStore.findMissing(digests, options),
        options,
      );
      const keys = new Set(missing.map(({ key }) => key));
      const wanted = part.filter(({ digest }) => keys.has(digest.key));
      await mapConcurrent(wanted, UPLOADS_AT_ONCE, (blob, signal) => this.#store(blob, signal), options);
    }
  }

  async #store(blob: OutputBlob, signal: AbortSignal): Promise<void> {
    try {
      await this.#retries.run(
        `store output ${blob.digest}`,
        () => this.#blobStore.write(blob.digest, blob.open(), { signal }),
        { signal },
      );
    } catch (error) {
      if (!isIngotError(error, Code.INVALID_ARGUMENT)) throw error;
      // The bytes are not the ones that were hashed: our fault and not the action's.
      throw internal(`store output ${blob.digest}: ${error.message}`, { cause: error });
    }
  }
}
