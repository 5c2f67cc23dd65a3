import { Compressor_Value } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Any } from '../proto/gen/google/protobuf/any.ts';
import { Code } from '../proto/gen/google/rpc/code.ts';
import { PreconditionFailure, RetryInfo } from '../proto/gen/google/rpc/error_details.ts';
import type { Digest } from './digest.ts';
import type { IngotError } from './error.ts';
import { formatReadName } from './resource-name.ts';
import type { MessageCodec } from './rpc/rpc-service.ts';

const TYPE_URL_PREFIX = 'type.googleapis.com/';

/** Type name of the detail that {@link missingBlobs} makes. */
export const PRECONDITION_FAILURE_TYPE = 'google.rpc.PreconditionFailure';
/** Type name of the detail that {@link retryInfo} makes. */
export const RETRY_INFO_TYPE = 'google.rpc.RetryInfo';

/** A message in an Any; `typeName` is its full protobuf name. */
export function packAny<T>(codec: MessageCodec<T>, typeName: string, message: T): Any {
  return { typeUrl: TYPE_URL_PREFIX + typeName, value: asBuffer(codec.encode(message).finish()) };
}

/** The message in an Any, or undefined when it holds another type. Throws what the codec throws on bad bytes. */
export function unpackAny<T>(codec: MessageCodec<T>, typeName: string, any: Any): T | undefined {
  const named = any.typeUrl.slice(any.typeUrl.lastIndexOf('/') + 1);
  return named === typeName ? codec.decode(any.value) : undefined;
}

/**
 * The detail by which REAPI says which blobs an action lacks; a client uploads them and tries again. Goes with
 * FAILED_PRECONDITION. About 100 bytes a blob: in an RPC's status it must fit the trailers, in an ExecuteResponse
 * it has room.
 */
export function missingBlobs(digests: readonly Digest[]): Any {
  const violations = digests.map((digest) => ({
    type: 'MISSING',
    subject: formatReadName({ instanceName: '', digest, compressor: Compressor_Value.IDENTITY }),
    description: '',
  }));
  return packAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, { violations });
}

/** The detail that tells a client how long to wait before it tries again. */
export function retryInfo(delayMs: number): Any {
  const wholeMs = Math.ceil(delayMs);
  const seconds = Math.floor(wholeMs / 1000);
  const nanos = (wholeMs % 1000) * 1e6;
  return packAny(RetryInfo, RETRY_INFO_TYPE, { retryDelay: { seconds, nanos } });
}

/** What {@link retryInfo} says among the details; undefined when nobody said. */
export function retryDelayMsOf(details: readonly Any[]): number | undefined {
  for (const detail of details) {
    const delay = unpackAny(RetryInfo, RETRY_INFO_TYPE, detail)?.retryDelay;
    if (delay !== undefined) return delay.seconds * 1000 + delay.nanos / 1e6;
  }
  return undefined;
}

/** How long a client is to wait for what is away, where who reports it knows no better. */
const RETRY_DELAY_MS = 1000;
const retrySoon = retryInfo(RETRY_DELAY_MS);

/** The details of an error that a client gets to see: UNAVAILABLE always says when to try again. */
export function detailsForClient({ code, details }: IngotError): readonly Any[] {
  const isComplete =
    code !== Code.UNAVAILABLE || details.some(({ typeUrl }) => typeUrl === retrySoon.typeUrl);
  return isComplete ? details : [...details, retrySoon];
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
