import type { MessageCodec, TakeMemory } from '../../../core/rpc/rpc-service.ts';
import {
  BatchUpdateBlobsResponse,
  type BatchUpdateBlobsResponse_Response,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { messageParts } from './message-parts.ts';
import { statusBytes } from './status-bytes.ts';
import { digestBytes, fieldBytes, isWritable, WireWriter, type WritableDigest } from './wire-writer.ts';

const RESPONSES_TAG = (1 << 3) | 2;
const ITEM_DIGEST_TAG = (1 << 3) | 2;
const ITEM_STATUS_TAG = (2 << 3) | 2;

interface Item {
  readonly digest: WritableDigest;
  readonly status: Uint8Array;
  /** Bytes of the two. */
  readonly itemBytes: number;
}

/** The generated codec, but hashes are written straight from words where they were read into them. */
export const batchUpdateResponse: MessageCodec<BatchUpdateBlobsResponse> = {
  encode: BatchUpdateBlobsResponse.encode,
  decode: BatchUpdateBlobsResponse.decode,
  encodeParts: (message, take) =>
    messageParts(encodeCommon(message, take) ?? BatchUpdateBlobsResponse.encode(message).finish()),
};

function encodeCommon(
  { responses }: BatchUpdateBlobsResponse,
  take: TakeMemory | undefined,
): Uint8Array | undefined {
  const items: Item[] = [];
  let sizeBytes = 0;
  for (const response of responses) {
    const item = itemOf(response);
    if (item === undefined) return undefined;
    items.push(item);
    sizeBytes += fieldBytes(item.itemBytes);
  }
  const writer = new WireWriter(sizeBytes, take);
  for (const { digest, status, itemBytes } of items) {
    writer.header(RESPONSES_TAG, itemBytes);
    writer.digest(ITEM_DIGEST_TAG, digest);
    writer.header(ITEM_STATUS_TAG, status.length);
    writer.raw(status);
  }
  return writer.bytes;
}

function itemOf({ digest, status }: BatchUpdateBlobsResponse_Response): Item | undefined {
  if (!isWritable(digest) || status === undefined) return undefined;
  const encoded = statusBytes(status);
  return { digest, status: encoded, itemBytes: fieldBytes(digestBytes(digest)) + fieldBytes(encoded.length) };
}
