import assert from 'node:assert/strict';
import type { BlobStore } from '../../cache/blob-store.ts';
import { mapConcurrent } from '../../core/concurrency.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { type InputBlob, readInputBlob } from './input-blob.ts';

/**
 * Blobs on their way at once. The store behind it packs small ones into batches, which want many to choose from,
 * and holds back large ones by itself.
 */
const UPLOADS_MAX = 512;

/** What an upload did. */
export interface UploadTotals {
  readonly uploadedCount: number;
  readonly uploadedBytes: number;
}

interface UploadOptions extends IoOptions {
  readonly onProgress?: ((uploadedBytes: number, totalBytes: number) => void) | undefined;
}

/** Sends the store those blobs which it says it lacks. */
export async function uploadBlobs(
  store: BlobStore,
  blobs: ReadonlyMap<string, InputBlob>,
  { signal, onProgress }: UploadOptions = {},
): Promise<UploadTotals> {
  const missing = await store.findMissing(
    [...blobs.values()].map(({ digest }) => digest),
    { signal },
  );
  const totalBytes = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let uploadedBytes = 0;
  if (missing.length > 0) onProgress?.(0, totalBytes);
  await mapConcurrent(
    missing,
    UPLOADS_MAX,
    async (digest, laneSignal) => {
      const blob = blobs.get(digest.key);
      assert(blob !== undefined, `the store lacks ${digest}, about which it was not asked`);
      await store.write(digest, readInputBlob(blob), { signal: laneSignal });
      uploadedBytes += digest.sizeBytes;
      onProgress?.(uploadedBytes, totalBytes);
    },
    { signal },
  );
  return { uploadedCount: missing.length, uploadedBytes };
}
