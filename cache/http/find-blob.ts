import type { Digest } from '../../core/digest.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { HttpContent } from './http-exchange.ts';

/** A blob as what a name stands for, or undefined when it is absent. */
export async function findBlob(
  blobStore: BlobStore,
  digest: Digest,
  options: BlobOptions,
): Promise<HttpContent | undefined> {
  const [missing] = await blobStore.findMissing([digest], options);
  if (missing !== undefined) return undefined;
  return {
    sizeBytes: digest.sizeBytes,
    entityTag: digest.hash,
    open: (range) => blobStore.read(digest, range, options),
  };
}
