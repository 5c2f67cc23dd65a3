import { toIngotError } from '../../core/error.ts';
import { WholeBytes } from '../../core/streams.ts';
import type { BlobOptions, BlobStore, WholeBlob, WriteAllOptions, WriteOutcome } from '../blob-store.ts';

/** Stores blobs that are in memory, each for itself, and says what became of each: together where the store knows how. */
export function writeAll(
  store: BlobStore,
  blobs: readonly WholeBlob[],
  options?: WriteAllOptions,
): Promise<readonly WriteOutcome[]> {
  return store.writeAll?.(blobs, options) ?? writeEach(store, blobs, options);
}

/** The same with the store's `write`, of all at once. */
export function writeEach(
  store: BlobStore,
  blobs: readonly WholeBlob[],
  options?: BlobOptions,
): Promise<readonly WriteOutcome[]> {
  return Promise.all(
    blobs.map(({ digest, bytes }) =>
      store.write(digest, new WholeBytes(bytes), options).then(wentWell, toIngotError),
    ),
  );
}

const wentWell = (): WriteOutcome => undefined;
