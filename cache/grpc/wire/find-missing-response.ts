import type { MessageCodec } from '../../../core/rpc/rpc-service.ts';
import { FindMissingBlobsResponse } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { messageParts } from './message-parts.ts';
import { digestBytes, fieldBytes, isWritable, WireWriter, type WritableDigest } from './wire-writer.ts';

const MISSING_BLOB_DIGESTS_TAG = (2 << 3) | 2;

/** The generated codec, but hashes are written straight from the words of a Digest. */
export const findMissingResponse: MessageCodec<FindMissingBlobsResponse> = {
  encode: FindMissingBlobsResponse.encode,
  decode: FindMissingBlobsResponse.decode,
  encodeParts(message) {
    const { missingBlobDigests: missing } = message;
    const bytes = missing.every(isWritable)
      ? encodeDigests(missing)
      : FindMissingBlobsResponse.encode(message).finish();
    return messageParts(bytes);
  },
};

function encodeDigests(digests: readonly WritableDigest[]): Uint8Array {
  let sizeBytes = 0;
  for (const digest of digests) sizeBytes += fieldBytes(digestBytes(digest));
  const writer = new WireWriter(sizeBytes);
  for (const digest of digests) writer.digest(MISSING_BLOB_DIGESTS_TAG, digest);
  return writer.bytes;
}
