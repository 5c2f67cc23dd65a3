import { WholeBytes } from '../../core/streams.ts';
import type { WriteRequest, WriteResponse } from '../../proto/gen/google/bytestream/bytestream.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import { storedAfterLast } from './stored-after-last.ts';
import type { UploadName, WriteSessions } from './write-sessions.ts';

/** An upload of which the first message is all. */
export interface WholeUpload {
  readonly name: UploadName;
  readonly store: BlobStore;
  readonly sessions: WriteSessions;
  readonly options: BlobOptions;
  readonly first: WriteRequest;
  /** The messages after it; there should be none. */
  readonly requests: AsyncIterator<WriteRequest, unknown>;
}

/** True when the message brings the whole blob, as it does for most, and no stream before has begun the upload. */
export function isWholeUpload(first: WriteRequest, name: UploadName, sessions: WriteSessions): boolean {
  const { finishWrite, writeOffset, data } = first;
  if (!finishWrite || writeOffset !== 0 || data.byteLength !== name.digest.sizeBytes) return false;
  return sessions.committedBytes(name) === undefined;
}

/** Hands the bytes to the store as they are: what cannot be resumed needs no session. */
export async function receiveWhole(upload: WholeUpload): Promise<WriteResponse> {
  const { name, store, sessions, options, first, requests } = upload;
  using _memory = sessions.borrow(first.data.byteLength);
  const stored = store.write(name.digest, new WholeBytes(first.data), options);
  await storedAfterLast(stored, name.digest, requests);
  return { committedSize: name.digest.sizeBytes };
}
