import { decodeStrictly } from '../../../core/rpc/rpc-decode.ts';
import type { MessageCodec, TakeMemory } from '../../../core/rpc/rpc-service.ts';
import { FindMissingBlobsResponse } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { messageParts } from './message-parts.ts';
import { WireCursor } from './wire-cursor.ts';
import { digestBytes, fieldBytes, isWritable, WireWriter, type WritableDigest } from './wire-writer.ts';

const MISSING_BLOB_DIGESTS_TAG = (2 << 3) | 2;

/** The generated codec, but hashes are written straight from the words of a Digest, and read into words. */
export const findMissingResponse: MessageCodec<FindMissingBlobsResponse> = {
  encode: FindMissingBlobsResponse.encode,
  decode: FindMissingBlobsResponse.decode,
  decodeWhole: (bytes) => decodeCommon(bytes) ?? decodeStrictly(FindMissingBlobsResponse, bytes),
  encodeParts(message, take) {
    const { missingBlobDigests: missing } = message;
    const bytes = missing.every(isWritable)
      ? encodeDigests(missing, take)
      : FindMissingBlobsResponse.encode(message).finish();
    return messageParts(bytes);
  },
};

function encodeDigests(digests: readonly WritableDigest[], take: TakeMemory | undefined): Uint8Array {
  let sizeBytes = 0;
  for (const digest of digests) sizeBytes += fieldBytes(digestBytes(digest));
  const writer = new WireWriter(sizeBytes, take);
  for (const digest of digests) writer.digest(MISSING_BLOB_DIGESTS_TAG, digest);
  return writer.bytes;
}

/** Undefined when there is anything out of the common in it. */
function decodeCommon(bytes: Uint8Array): FindMissingBlobsResponse | undefined {
  const cursor = new WireCursor(bytes);
  const missingBlobDigests: FindMissingBlobsResponse['missingBlobDigests'] = [];
  while (cursor.pos < cursor.end) {
    const digest = cursor.byte() === MISSING_BLOB_DIGESTS_TAG ? cursor.digest() : undefined;
    if (digest === undefined) return undefined;
    missingBlobDigests.push(digest);
  }
  return { missingBlobDigests };
}
