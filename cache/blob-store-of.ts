import type { BlobStore } from './blob-store.ts';

/** The blobs of an instance, for a role of the farm that works for all of them. Ask for it each time: it is cheap. */
export type BlobStoreOf = (instanceName: string) => BlobStore;
