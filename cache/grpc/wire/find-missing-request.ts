import { decodeStrictly } from '../../../core/rpc/rpc-decode.ts';
import type { MessageCodec } from '../../../core/rpc/rpc-service.ts';
import {
  type DigestFunction_Value,
  FindMissingBlobsRequest,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { messageParts } from './message-parts.ts';
import { WireCursor } from './wire-cursor.ts';
import { digestBytes, fieldBytes, isWritable, varintBytes, WireWriter } from './wire-writer.ts';

const INSTANCE_NAME_TAG = (1 << 3) | 2;
const BLOB_DIGESTS_TAG = (2 << 3) | 2;
const DIGEST_FUNCTION_TAG = (3 << 3) | 0;

/** The generated codec, but digests are read and written without making strings of them: a sixth of the time. */
export const findMissingRequest: MessageCodec<FindMissingBlobsRequest> = {
  encode: FindMissingBlobsRequest.encode,
  encodeParts: (message) => messageParts(encodeWritable(message)),
  decode: FindMissingBlobsRequest.decode,
  decodeWhole: (bytes) => decodeCommon(bytes) ?? decodeStrictly(FindMissingBlobsRequest, bytes),
};

/** Undefined when there is anything out of the common in it. */
function decodeCommon(bytes: Uint8Array): FindMissingBlobsRequest | undefined {
  const cursor = new WireCursor(bytes);
  const blobDigests: FindMissingBlobsRequest['blobDigests'] = [];
  let instanceName: string | undefined = '';
  let digestFunction = 0;
  while (cursor.pos < cursor.end) {
    const tag = cursor.byte();
    if (tag === BLOB_DIGESTS_TAG) {
      const digest = cursor.digest();
      if (digest === undefined) return undefined;
      blobDigests.push(digest);
    } else if (tag === INSTANCE_NAME_TAG) {
      instanceName = cursor.text();
      if (instanceName === undefined) return undefined;
    } else if (tag === DIGEST_FUNCTION_TAG) {
      digestFunction = cursor.byte();
      if (digestFunction < 0) return undefined;
    } else {
      return undefined;
    }
  }
  return { instanceName, blobDigests, digestFunction: digestFunction as DigestFunction_Value };
}

function encodeWritable(message: FindMissingBlobsRequest): Uint8Array {
  const { instanceName, blobDigests, digestFunction } = message;
  if (!blobDigests.every(isWritable)) return FindMissingBlobsRequest.encode(message).finish();
  const name = Buffer.from(instanceName);
  let sizeBytes = 0;
  if (name.length > 0) sizeBytes += fieldBytes(name.length);
  for (const digest of blobDigests) sizeBytes += fieldBytes(digestBytes(digest));
  if (digestFunction !== 0) sizeBytes += 1 + varintBytes(digestFunction);
  const writer = new WireWriter(sizeBytes);
  if (name.length > 0) writer.header(INSTANCE_NAME_TAG, name.length);
  writer.raw(name);
  for (const digest of blobDigests) writer.digest(BLOB_DIGESTS_TAG, digest);
  if (digestFunction !== 0) writer.header(DIGEST_FUNCTION_TAG, digestFunction);
  return writer.bytes;
}
