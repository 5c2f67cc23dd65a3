import type { Digest } from '../../core/digest.ts';
import type { Compressor_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';

/** A blob of a store that is bound to the caller's instance and rights. */
export interface StoredBlob {
  readonly digest: Digest;
  readonly store: BlobStore;
}

/** A blob's bytes in the form in which they are cheapest to send. */
export interface EncodedBlob {
  /** IDENTITY where compressing does not pay, or nobody is free to do it. */
  readonly compressor: typeof Compressor_Value.IDENTITY | typeof Compressor_Value.ZSTD;
  readonly source: AsyncIterable<Uint8Array>;
  /** Of this form; undefined while it is being made. */
  readonly sizeBytes: number | undefined;
}

/**
 * Blobs as zstd frames. What is asked and what is stored goes through the blob's own store, which knows what the caller
 * may see and do; nobody is given a form of a blob that is not there for him.
 */
export interface CompressedForms {
  /** The bytes from the uncompressed `offset` on, or undefined when the blob is absent. */
  read(blob: StoredBlob, offset: number, options: BlobOptions): Promise<EncodedBlob | undefined>;
  /**
   * Stores the blob whose bytes come as one zstd frame; resolves when it is durable. INVALID_ARGUMENT when the frame is
   * not sound, or its bytes are not the digest's.
   */
  write(blob: StoredBlob, frame: AsyncIterable<Uint8Array>, options: BlobOptions): Promise<void>;
}
