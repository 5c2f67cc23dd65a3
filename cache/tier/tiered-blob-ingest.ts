import type { Digest } from '../../core/digest.ts';
import type { BlobIngest, IngestOptions } from '../blobs/blob-ingest.ts';
import type { UploadQueue } from './upload-queue.ts';

/** What a {@link TieredBlobIngest} depends on. */
export interface TieredBlobIngestDependencies {
  readonly inner: BlobIngest;
  readonly instanceName: string;
  readonly uploads: UploadQueue;
  /** As in TieredBlobStore. */
  readonly uploadWaitMs?: number | undefined;
}

/** Queues for the object store what was stored before its size was known; it waits for room in the queue afterwards. */
export class TieredBlobIngest implements BlobIngest {
  readonly #dependencies: TieredBlobIngestDependencies;

  constructor(dependencies: TieredBlobIngestDependencies) {
    this.#dependencies = dependencies;
  }

  async ingest(source: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<Digest> {
    const { inner, instanceName, uploads, uploadWaitMs } = this.#dependencies;
    const { signal } = options;
    const digest = await inner.ingest(source, options);
    if (digest.isEmpty) return digest;
    const upload = { kind: 'blob', instanceName, digest } as const;
    {
      using _room = await uploads.reserve(digest.sizeBytes, { signal });
      await uploads.add(upload, digest.sizeBytes);
    }
    if (uploadWaitMs !== undefined) await uploads.uploaded(upload, uploadWaitMs, { signal });
    return digest;
  }
}
