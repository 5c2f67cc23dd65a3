import { toIngotError } from '../../core/error.ts';
import { inSlices } from '../../core/in-slices.ts';
import { WholeBytes } from '../../core/streams.ts';
import type { BlobOptions, BlobStore, WholeBlob, WriteAllOptions, WriteOutcome } from '../blob-store.ts';

/** Blobs given to a store at once: those that one commit of it can make durable together. */
export const WRITES_AT_ONCE = 256;

/** Stores blobs that are in memory, each for itself, and says what became of each: together where the store knows how. */
export function writeAll(
  store: BlobStore,
  blobs: readonly WholeBlob[],
  options?: WriteAllOptions,
): Promise<readonly WriteOutcome[]> {
  return store.writeAll?.(blobs, options) ?? writeEach(store, blobs, options);
}

/** The same with the store's `write`. */
export function writeEach(
  store: BlobStore,
  blobs: readonly WholeBlob[],
  options?: BlobOptions,
): Promise<readonly WriteOutcome[]> {
  return inSlices(blobs, WRITES_AT_ONCE, ({ digest, bytes }) =>
    store.write(digest, new WholeBytes(bytes), options).then(wentWell, toIngotError),
  );
}

const wentWell = (): WriteOutcome => undefined;
