import { decodeStrictly } from '../../../core/rpc/rpc-decode.ts';
import type { MessageCodec } from '../../../core/rpc/rpc-service.ts';
import {
  BatchUpdateBlobsRequest,
  type BatchUpdateBlobsRequest_Request,
  type Compressor_Value,
  type DigestFunction_Value,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { WireCursor } from './wire-cursor.ts';

const INSTANCE_NAME_TAG = (1 << 3) | 2;
const REQUESTS_TAG = (2 << 3) | 2;
const DIGEST_FUNCTION_TAG = (5 << 3) | 0;

const ITEM_DIGEST_TAG = (1 << 3) | 2;
const ITEM_DATA_TAG = (2 << 3) | 2;
const ITEM_COMPRESSOR_TAG = (3 << 3) | 0;

const NO_DATA = new Uint8Array();

/** The generated codec, but digests are read without making strings of them. Data are views of the message, as there. */
export const batchUpdateRequest: MessageCodec<BatchUpdateBlobsRequest> = {
  encode: BatchUpdateBlobsRequest.encode,
  decode: BatchUpdateBlobsRequest.decode,
  decodeWhole: (bytes) => decodeCommon(bytes) ?? decodeStrictly(BatchUpdateBlobsRequest, bytes),
};

/** Undefined when there is anything out of the common in it. */
function decodeCommon(bytes: Uint8Array): BatchUpdateBlobsRequest | undefined {
  const cursor = new WireCursor(bytes);
  const requests: BatchUpdateBlobsRequest_Request[] = [];
  let instanceName: string | undefined = '';
  let digestFunction = 0;
  while (cursor.pos < cursor.end) {
    const tag = cursor.byte();
    if (tag === REQUESTS_TAG) {
      const request = decodeItem(cursor);
      if (request === undefined) return undefined;
      requests.push(request);
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
  return { instanceName, requests, digestFunction: digestFunction as DigestFunction_Value };
}

function decodeItem(cursor: WireCursor): BatchUpdateBlobsRequest_Request | undefined {
  const outerEnd = cursor.enter();
  if (outerEnd < 0) return undefined;
  let digest: BatchUpdateBlobsRequest_Request['digest'];
  let data: Uint8Array | undefined = NO_DATA;
  let compressor = 0;
  while (cursor.pos < cursor.end) {
    const tag = cursor.byte();
    if (tag === ITEM_DIGEST_TAG) {
      digest = cursor.digest();
      if (digest === undefined) return undefined;
    } else if (tag === ITEM_DATA_TAG) {
      data = cursor.view();
      if (data === undefined) return undefined;
    } else if (tag === ITEM_COMPRESSOR_TAG) {
      compressor = cursor.byte();
      if (compressor < 0) return undefined;
    } else {
      return undefined;
    }
  }
  cursor.end = outerEnd;
  return { digest, data, compressor: compressor as Compressor_Value };
}
