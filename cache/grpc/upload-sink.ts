import { Compressor_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { CompressedForms } from '../compression/compressed-forms.ts';
import { frameBytesMax } from '../compression/zstd-format.ts';
import type { UploadName } from './write-sessions.ts';

/** Where the bytes of an upload go. */
export interface UploadSink {
  /** The first byte beyond it is refused: the blob's size, or what is taken for its compressed form. */
  readonly bytesMax: number;
  /** As {@link BlobStore.write}, of the blob's bytes as they are sent. */
  write(source: AsyncIterable<Uint8Array>, options: BlobOptions): Promise<void>;
}

/** The sink for an upload by this name. */
export function uploadSinkOf(
  { digest, compressor }: UploadName,
  { store, forms }: { readonly store: BlobStore; readonly forms: CompressedForms },
): UploadSink {
  if (compressor === Compressor_Value.IDENTITY) {
    return {
      bytesMax: digest.sizeBytes,
      write: (source, options) => store.write(digest, source, options),
    };
  }
  return {
    bytesMax: frameBytesMax(digest.sizeBytes),
    write: (source, options) => forms.write({ digest, store }, source, options),
  };
}
