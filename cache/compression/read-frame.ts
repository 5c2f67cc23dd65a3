import { Compressor_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions } from '../blob-store.ts';
import type { CompressedForms, StoredBlob } from './compressed-forms.ts';
import { rawZstdFrame } from './raw-zstd-frame.ts';

/** A zstd frame of the blob's bytes from the uncompressed offset on, whatever form they have here; undefined when absent. */
export async function readFrame(
  blob: StoredBlob,
  offset: number,
  { forms, options }: { readonly forms: CompressedForms; readonly options: BlobOptions },
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const encoded = await forms.read(blob, offset, options);
  if (encoded === undefined) return undefined;
  const { source, compressor } = encoded;
  return compressor === Compressor_Value.ZSTD ? source : rawZstdFrame(source, blob.digest.sizeBytes - offset);
}
