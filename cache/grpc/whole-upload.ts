import { messageMemory } from '../../core/message-memory.ts';
import { WholeBytes } from '../../core/streams.ts';
import { Compressor_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { WriteRequest, WriteResponse } from '../../proto/gen/google/bytestream/bytestream.ts';
import type { BlobOptions } from '../blob-store.ts';
import { storedAfterLast } from './stored-after-last.ts';
import type { UploadSink } from './upload-sink.ts';
import type { UploadName, WriteSessions } from './write-sessions.ts';

/** Larger blobs that come compressed are decompressed as a stream. */
const COMPRESSED_BLOB_BYTES_MAX = 1024 * 1024;

/** An upload of which the first message is all. */
export interface WholeUpload {
  readonly name: UploadName;
  readonly sink: UploadSink;
  readonly sessions: WriteSessions;
  readonly options: BlobOptions;
  readonly first: WriteRequest;
  /** The messages after it; there should be none. */
  readonly requests: AsyncIterator<WriteRequest, unknown>;
}

/** True when the message brings the whole blob, as it does for most, and no stream before has begun the upload. */
export function isWholeUpload(first: WriteRequest, name: UploadName, sessions: WriteSessions): boolean {
  const { finishWrite, writeOffset, data } = first;
  const { sizeBytes } = name.digest;
  if (!finishWrite || writeOffset !== 0) return false;
  const isWhole =
    name.compressor === Compressor_Value.IDENTITY
      ? data.byteLength === sizeBytes
      : sizeBytes <= COMPRESSED_BLOB_BYTES_MAX;
  if (!isWhole) return false;
  return sessions.committedBytes(name) === undefined;
}

/** Hands the bytes to the store as they are: what cannot be resumed needs no session. */
export async function receiveWhole(upload: WholeUpload): Promise<WriteResponse> {
  const { name, sink, sessions, options, first, requests } = upload;
  const { byteLength } = first.data;
  using _memory = sessions.borrow(Math.max(byteLength, name.digest.sizeBytes));
  const bytes = new WholeBytes(first.data, { onDone: () => messageMemory.giveBack(first.data) });
  const stored = sink.write(bytes, options);
  await storedAfterLast(stored, name.digest, requests);
  return { committedSize: byteLength };
}
