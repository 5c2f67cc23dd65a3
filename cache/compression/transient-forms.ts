import { Compressor_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions } from '../blob-store.ts';
import type { CodecBudget } from './codec-budget.ts';
import { compressedBytes } from './compressed-bytes.ts';
import type { CompressedForms, EncodedBlob, StoredBlob } from './compressed-forms.ts';
import { decompressedBytes } from './decompressed-bytes.ts';
import { FORM_BLOB_BYTES_MIN } from './form-limits.ts';

/**
 * Forms made anew for each who asks, and kept nowhere: for endpoints whose blobs are those of another cache. Whether it
 * pays is not known beforehand, so what does not compress is compressed too.
 */
export class TransientForms implements CompressedForms {
  readonly #budget: CodecBudget;

  constructor(budget: CodecBudget) {
    this.#budget = budget;
  }

  async read(
    { digest, store }: StoredBlob,
    offset: number,
    options: BlobOptions,
  ): Promise<EncodedBlob | undefined> {
    const source = await store.read(digest, { offset }, options);
    if (source === undefined) return undefined;
    const sizeBytes = digest.sizeBytes - offset;
    const permit = sizeBytes < FORM_BLOB_BYTES_MIN ? undefined : this.#budget.compressor();
    if (permit === undefined) return { compressor: Compressor_Value.IDENTITY, source, sizeBytes };
    return {
      compressor: Compressor_Value.ZSTD,
      source: compressedBytes(source, { sizeBytes, permit, signal: options.signal }),
      sizeBytes: undefined,
    };
  }

  async write(
    { digest, store }: StoredBlob,
    frame: AsyncIterable<Uint8Array>,
    options: BlobOptions,
  ): Promise<void> {
    const owner = { attempt: `Write ${digest}`, sizeBytes: digest.sizeBytes };
    const { signal } = options;
    const bytes = await decompressedBytes(frame, { owner, budget: this.#budget, signal });
    await store.write(digest, bytes, options);
  }
}
