import type { Digest } from '../../core/digest.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** A blob's name as HTTP caches spell it: without the size. */
export interface BlobHash {
  readonly digestFunction: DigestFunction_Value;
  /** Lower-case hex. */
  readonly hash: string;
}

/** Finds blobs whose size nobody said; for views whose names carry the hash alone. */
export interface BlobLookup {
  /** The whole digest, or undefined when there is no such blob. */
  find(blob: BlobHash, options?: IoOptions): Promise<Digest | undefined>;
}
