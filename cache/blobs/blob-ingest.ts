import type { Digest } from '../../core/digest.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** What is known of bytes whose digest is not. */
export interface IngestOptions extends IoOptions {
  readonly digestFunction: DigestFunction_Value;
  /** One more is INVALID_ARGUMENT. */
  readonly bytesMax: number;
  /** The hash they must have, where their sender said so; INVALID_ARGUMENT otherwise. */
  readonly hash?: string | undefined;
}

/** Stores bytes whose digest or size nobody said beforehand; for views that learn it only at the end. */
export interface BlobIngest {
  /** Resolves with the digest when the blob is durable. */
  ingest(source: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<Digest>;
}
