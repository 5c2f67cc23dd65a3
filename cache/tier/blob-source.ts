import type { Digest } from '../../core/digest.ts';
import { aborted } from '../../core/error.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobStore } from '../blob-store.ts';
import type { ObjectSource } from './object-store.ts';

/** A local blob as the source of an object: streamed, whole or in parts, and never held in memory. */
export function blobSource(local: BlobStore, digest: Digest, signal: AbortSignal): ObjectSource {
  return {
    sizeBytes: digest.sizeBytes,
    ...(digest.digestFunction === DigestFunction_Value.SHA256 ? { sha256: digest.hash } : {}),
    async *read(range) {
      const source = await local.read(digest, range, { signal });
      if (source === undefined) {
        // Not UNAVAILABLE, which would speak of the object store.
        throw aborted(`Upload ${digest}: it is gone from the local store since it was looked for`);
      }
      yield* source;
    },
  };
}
