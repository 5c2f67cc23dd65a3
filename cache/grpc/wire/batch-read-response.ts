import type { MessageCodec, TakeMemory } from '../../../core/rpc/rpc-service.ts';
import {
  BatchReadBlobsResponse,
  type BatchReadBlobsResponse_Response,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { messageParts } from './message-parts.ts';
import { statusBytes } from './status-bytes.ts';
import {
  digestBytes,
  fieldBytes,
  isWritable,
  varintBytes,
  WireWriter,
  type WritableDigest,
} from './wire-writer.ts';

const RESPONSES_TAG = (1 << 3) | 2;
const ITEM_DIGEST_TAG = (1 << 3) | 2;
const ITEM_DATA_TAG = (2 << 3) | 2;
const ITEM_STATUS_TAG = (3 << 3) | 2;
const ITEM_COMPRESSOR_TAG = (4 << 3) | 0;

/** Larger payloads go out as parts of their own: copying this much costs about what one more part does. */
const COPIED_BYTES_MAX = 16 * 1024;
const NOTHING = new Uint8Array();

interface Item {
  readonly digest: WritableDigest;
  readonly data: Uint8Array;
  readonly compressor: number;
  readonly status: Uint8Array;
  /** Bytes of all of it. */
  readonly itemBytes: number;
}

/** The generated codec, but hashes are written straight from words, and payloads are copied once or not at all. */
export const batchReadResponse: MessageCodec<BatchReadBlobsResponse> = {
  encode: BatchReadBlobsResponse.encode,
  decode: BatchReadBlobsResponse.decode,
  encodeParts: (message, take) =>
    encodeCommon(message, take) ?? messageParts(BatchReadBlobsResponse.encode(message).finish()),
};

function encodeCommon(
  { responses }: BatchReadBlobsResponse,
  take: TakeMemory | undefined,
): Uint8Array[] | undefined {
  const items: Item[] = [];
  let copiedBytes = 0;
  for (const response of responses) {
    const item = itemOf(response);
    if (item === undefined) return undefined;
    items.push(item);
    copiedBytes += fieldBytes(item.itemBytes);
    if (isOwnPart(item.data)) copiedBytes -= item.data.length;
  }
  const writer = new WireWriter(copiedBytes, take);
  // The first part is copied once more, to stand behind its length.
  const parts: Uint8Array[] = [NOTHING];
  for (const item of items) writeItem(item, writer, parts);
  const rest = writer.taken();
  if (rest.length > 0) parts.push(rest);
  return parts;
}

function writeItem(
  { digest, data, status, compressor, itemBytes }: Item,
  writer: WireWriter,
  parts: Uint8Array[],
) {
  writer.header(RESPONSES_TAG, itemBytes);
  writer.digest(ITEM_DIGEST_TAG, digest);
  if (data.length > 0) writer.header(ITEM_DATA_TAG, data.length);
  if (isOwnPart(data)) parts.push(writer.taken(), data);
  else writer.raw(data);
  writer.header(ITEM_STATUS_TAG, status.length);
  writer.raw(status);
  if (compressor !== 0) writer.header(ITEM_COMPRESSOR_TAG, compressor);
}

function isOwnPart(data: Uint8Array): boolean {
  return data.length > COPIED_BYTES_MAX;
}

function itemOf({ digest, data, status, compressor }: BatchReadBlobsResponse_Response): Item | undefined {
  if (!isWritable(digest) || status === undefined) return undefined;
  const encoded = statusBytes(status);
  const itemBytes =
    fieldBytes(digestBytes(digest)) +
    (data.length > 0 ? fieldBytes(data.length) : 0) +
    fieldBytes(encoded.length) +
    (compressor !== 0 ? 1 + varintBytes(compressor) : 0);
  return { digest, data, compressor, status: encoded, itemBytes };
}
