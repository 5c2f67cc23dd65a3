import type { BlobStore } from '../../../cache/blob-store.ts';
import type { UploadSink } from '../../../cache/grpc/upload-sink.ts';
import type { Digest } from '../../../core/digest.ts';

/** The sink of an upload that is not compressed. */
export function sinkInto(store: BlobStore, { digest }: { readonly digest: Digest }): UploadSink {
  return {
    bytesMax: digest.sizeBytes,
    write: (source, options) => store.write(digest, source, options),
  };
}
