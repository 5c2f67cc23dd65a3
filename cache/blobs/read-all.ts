import type { Digest } from '../../core/digest.ts';
import { toIngotError } from '../../core/error.ts';
import { collectBytes } from '../../core/streams.ts';
import type { BlobOptions, BlobStore, ReadOutcome } from '../blob-store.ts';

/** Reads blobs that fit in memory, each for itself, and says what became of each: together where the store knows how. */
export function readAll(
  store: BlobStore,
  digests: readonly Digest[],
  options?: BlobOptions,
): Promise<readonly ReadOutcome[]> {
  return store.readAll?.(digests, options) ?? readEach(store, digests, options);
}

/** The same with the store's `read`, of all at once. */
export function readEach(
  store: Pick<BlobStore, 'read'>,
  digests: readonly Digest[],
  options?: BlobOptions,
): Promise<readonly ReadOutcome[]> {
  return Promise.all(digests.map((digest) => readOne(store, digest, options)));
}

async function readOne(
  store: Pick<BlobStore, 'read'>,
  digest: Digest,
  options?: BlobOptions,
): Promise<ReadOutcome> {
  try {
    const source = await store.read(digest, undefined, options);
    if (source === undefined) return undefined;
    return await collectBytes(source, { bytesMax: digest.sizeBytes, what: `blob ${digest}` });
  } catch (error) {
    return toIngotError(error);
  }
}
