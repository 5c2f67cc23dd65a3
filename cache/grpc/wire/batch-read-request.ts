import { decodeStrictly } from '../../../core/rpc/rpc-decode.ts';
import type { MessageCodec } from '../../../core/rpc/rpc-service.ts';
import {
  BatchReadBlobsRequest,
  type Compressor_Value,
  type DigestFunction_Value,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { WireCursor } from './wire-cursor.ts';

const INSTANCE_NAME_TAG = (1 << 3) | 2;
const DIGESTS_TAG = (2 << 3) | 2;
/** An enum's values travel packed: one field with all of them. */
const ACCEPTABLE_COMPRESSORS_TAG = (3 << 3) | 2;
const DIGEST_FUNCTION_TAG = (4 << 3) | 0;

/** The generated codec, but digests are read without making strings of them. */
export const batchReadRequest: MessageCodec<BatchReadBlobsRequest> = {
  encode: BatchReadBlobsRequest.encode,
  decode: BatchReadBlobsRequest.decode,
  decodeWhole: (bytes) => decodeCommon(bytes) ?? decodeStrictly(BatchReadBlobsRequest, bytes),
};

/** Undefined when there is anything out of the common in it. */
function decodeCommon(bytes: Uint8Array): BatchReadBlobsRequest | undefined {
  const cursor = new WireCursor(bytes);
  const digests: BatchReadBlobsRequest['digests'] = [];
  const acceptableCompressors: Compressor_Value[] = [];
  let instanceName: string | undefined = '';
  let digestFunction = 0;
  while (cursor.pos < cursor.end) {
    const tag = cursor.byte();
    if (tag === DIGESTS_TAG) {
      const digest = cursor.digest();
      if (digest === undefined) return undefined;
      digests.push(digest);
    } else if (tag === ACCEPTABLE_COMPRESSORS_TAG) {
      if (!decodeCompressors(cursor, acceptableCompressors)) return undefined;
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
  return {
    instanceName,
    digests,
    acceptableCompressors,
    digestFunction: digestFunction as DigestFunction_Value,
  };
}

function decodeCompressors(cursor: WireCursor, compressors: Compressor_Value[]): boolean {
  const outerEnd = cursor.enter();
  if (outerEnd < 0) return false;
  while (cursor.pos < cursor.end) {
    const compressor = cursor.byte();
    if (compressor < 0) return false;
    compressors.push(compressor as Compressor_Value);
  }
  cursor.end = outerEnd;
  return true;
}
