import type { MessageCodec } from '../../../core/rpc/rpc-service.ts';
import { FindMissingBlobsResponse } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { digestBytes, fieldBytes, isWritable, WireWriter, type WritableDigest } from './wire-writer.ts';

const MISSING_BLOB_DIGESTS_TAG = (2 << 3) | 2;
/** Up to this size one buffer with all of an answer costs less than two of which one is not copied. */
const COPIED_BYTES_MAX = 4096;
const NOTHING = new Uint8Array();

/** The generated codec, but hashes are written straight from the words of a Digest. */
export const findMissingResponse: MessageCodec<FindMissingBlobsResponse> = {
  encode: FindMissingBlobsResponse.encode,
  decode: FindMissingBlobsResponse.decode,
  encodeParts(message) {
    const { missingBlobDigests: missing } = message;
    if (!missing.every(isWritable)) return [NOTHING, FindMissingBlobsResponse.encode(message).finish()];
    const bytes = encodeDigests(missing);
    return bytes.length <= COPIED_BYTES_MAX ? [bytes] : [NOTHING, bytes];
  },
};

function encodeDigests(digests: readonly WritableDigest[]): Uint8Array {
  let sizeBytes = 0;
  for (const digest of digests) sizeBytes += fieldBytes(digestBytes(digest));
  const writer = new WireWriter(sizeBytes);
  for (const digest of digests) writer.digest(MISSING_BLOB_DIGESTS_TAG, digest);
  return writer.bytes;
}
