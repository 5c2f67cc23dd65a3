import { requireRight } from '../../core/auth/require-right.ts';
import { invalidArgument, notFound, outOfRange, unimplemented } from '../../core/error.ts';
import {
  isLogName,
  parseLogName,
  parseReadName,
  parseWriteName,
  type WriteName,
} from '../../core/resource-name.ts';
import { OneResponse } from '../../core/rpc/one-response.ts';
import type { CallContext, ServiceImplementation } from '../../core/rpc/rpc-service.ts';
import { giveBackOf, WholeBytes } from '../../core/streams.ts';
import {
  Compressor_Value,
  compressor_ValueToJSON,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type {
  ByteStreamDefinition,
  QueryWriteStatusRequest,
  QueryWriteStatusResponse,
  ReadRequest,
  ReadResponse,
  WriteRequest,
  WriteResponse,
} from '../../proto/gen/google/bytestream/bytestream.ts';
import type { CompressedForms } from '../compression/compressed-forms.ts';
import { readFrame } from '../compression/read-frame.ts';
import type { ResumableLogStreams } from '../logs/resumable-log-streams.ts';
import { blobOptionsOf } from './blob-options.ts';
import { finishedEarly, receiveBlob } from './blob-upload.ts';
import type { InstanceStoresOf } from './instance-stores.ts';
import { receiveLog } from './log-upload.ts';
import { uploadSinkOf } from './upload-sink.ts';
import { isWholeUpload, receiveWhole } from './whole-upload.ts';
import type { WriteSessions } from './write-sessions.ts';

/** What the ByteStream service depends on. */
export interface ByteStreamServiceDependencies {
  readonly storesOf: InstanceStoresOf;
  readonly logStreams: ResumableLogStreams;
  readonly forms: CompressedForms;
  readonly sessions: WriteSessions;
}

/** ByteStream over blobs, by REAPI's resource names, and over the logs of running actions. */
export function byteStreamService(
  dependencies: ByteStreamServiceDependencies,
): ServiceImplementation<ByteStreamDefinition> {
  return {
    read: (request, context) => read(dependencies, request, context),
    write: (requests, context) => write(dependencies, requests, context),
    queryWriteStatus: (request, context) => queryWriteStatus(dependencies, request, context),
  };
}

/** A WholeBytes up to this size is answered in one message; below the 4 MiB that clients take. */
const ONE_MESSAGE_BYTES_MAX = 1024 * 1024;

async function read(
  { storesOf, logStreams, forms }: ByteStreamServiceDependencies,
  { resourceName, readOffset, readLimit }: ReadRequest,
  context: CallContext,
): Promise<AsyncIterable<ReadResponse>> {
  if (readOffset < 0) throw outOfRange(`read_offset is ${readOffset}, expected 0 or more`);
  if (readLimit < 0) throw invalidArgument(`read_limit is ${readLimit}, expected 0 or more`);
  const limit = readLimit === 0 ? undefined : readLimit;
  if (isLogName(resourceName)) {
    storesOf(parseLogName(resourceName).instanceName, context.caller);
    const { signal } = context;
    return responses(cutOff(logStreams.read(resourceName, readOffset, { signal }), limit));
  }
  const { instanceName, digest, compressor } = parseReadName(resourceName);
  checkCompressor(compressor);
  if (compressor !== Compressor_Value.IDENTITY && readLimit !== 0) {
    throw invalidArgument(`read_limit is ${readLimit}, expected 0 for a compressed blob`);
  }
  const { blobStore: store } = storesOf(instanceName, context.caller);
  const options = blobOptionsOf(context);
  const source =
    compressor === Compressor_Value.IDENTITY
      ? await store.read(digest, { offset: readOffset, limit }, options)
      : await readFrame({ digest, store }, readOffset, { forms, options });
  if (source === undefined) throw notFound(`blob ${digest} is not here`);
  if (source instanceof WholeBytes && source.bytes.byteLength <= ONE_MESSAGE_BYTES_MAX) {
    return new OneResponse({ data: source.bytes }, { onSent: source.onDone });
  }
  return responses(source);
}

/** No generator, which would hold on to each chunk until the next one is asked for. */
function responses(source: AsyncIterable<Uint8Array>): AsyncIterableIterator<ReadResponse, undefined> {
  const chunks = source[Symbol.asyncIterator]();
  const giveBack = giveBackOf(source);
  return {
    ...(giveBack && { sent: ({ data }: ReadResponse) => giveBack(data) }),
    async next() {
      const { done, value } = await chunks.next();
      return done ? { done, value: undefined } : { done: false, value: { data: asBuffer(value) } };
    },
    async return() {
      await chunks.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* cutOff(
  source: AsyncIterable<Uint8Array>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = limit;
  for await (const chunk of source) {
    yield chunk.subarray(0, left);
    left -= chunk.byteLength;
    if (left <= 0) return;
  }
}

async function write(
  { storesOf, logStreams, sessions, forms }: ByteStreamServiceDependencies,
  stream: AsyncIterable<WriteRequest>,
  context: CallContext,
): Promise<WriteResponse> {
  const requests = stream[Symbol.asyncIterator]();
  const { done, value: first } = await requests.next();
  if (done || first === undefined) throw invalidArgument('Write: the stream has no message');
  if (first.resourceName === '') throw invalidArgument('Write: the first message has no resource name');
  if (isLogName(first.resourceName)) {
    storesOf(parseLogName(first.resourceName).instanceName, context.caller);
    requireRight(context.caller, ['work'], 'write a log');
    const { signal } = context;
    const rest = { [Symbol.asyncIterator]: () => requests };
    return receiveLog({ name: first.resourceName, logStreams, signal, first, requests: rest });
  }
  const name = parseUploadName(first.resourceName);
  const { blobStore: store } = storesOf(name.instanceName, context.caller);
  const upload = { name, store, sink: uploadSinkOf(name, { store, forms }), sessions, first, requests };
  if (isWholeUpload(first, name, sessions))
    return receiveWhole({ ...upload, options: blobOptionsOf(context) });
  const { signal, invocationId } = context;
  return receiveBlob({ ...upload, signal, invocationId });
}

async function queryWriteStatus(
  { storesOf, logStreams, sessions }: ByteStreamServiceDependencies,
  { resourceName }: QueryWriteStatusRequest,
  context: CallContext,
): Promise<QueryWriteStatusResponse> {
  if (isLogName(resourceName)) {
    storesOf(parseLogName(resourceName).instanceName, context.caller);
    requireRight(context.caller, ['work'], 'write a log');
    const status = await logStreams.status(resourceName, { signal: context.signal });
    return { committedSize: status?.sizeBytes ?? 0, complete: status?.ended ?? false };
  }
  const name = parseUploadName(resourceName);
  const { blobStore } = storesOf(name.instanceName, context.caller);
  const [missing] = await blobStore.findMissing([name.digest], blobOptionsOf(context));
  if (missing === undefined) return { committedSize: finishedEarly(name), complete: true };
  // Of an upload nobody knows, nothing has arrived: true, and Bazel begins anew where NOT_FOUND would end its build.
  return { committedSize: (await sessions.status(name, context)) ?? 0, complete: false };
}

function parseUploadName(resourceName: string): WriteName {
  const name = parseWriteName(resourceName);
  checkCompressor(name.compressor);
  return name;
}

function checkCompressor(compressor: Compressor_Value): void {
  if (compressor === Compressor_Value.IDENTITY || compressor === Compressor_Value.ZSTD) return;
  throw unimplemented(`compressor ${compressor_ValueToJSON(compressor)} is not announced`);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
