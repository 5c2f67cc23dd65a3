import { throwIfAborted } from '../../core/abort.ts';
import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type { WriteRequest, WriteResponse } from '../../proto/gen/google/bytestream/bytestream.ts';
import type { BlobStore } from '../blob-store.ts';
import { storedAfterLast } from './stored-after-last.ts';
import type { UploadName, WriteSessions } from './write-sessions.ts';

/** One stream of a blob's upload. */
export interface BlobUpload {
  readonly name: UploadName;
  readonly store: BlobStore;
  readonly sessions: WriteSessions;
  readonly signal: AbortSignal;
  readonly invocationId: string | undefined;
  /** The first message, which has named the blob. */
  readonly first: WriteRequest;
  /** The messages after it. */
  readonly requests: AsyncIterator<WriteRequest, unknown>;
}

/**
 * Feeds a stream of WriteRequests to its upload, and answers when the blob is stored, which may be before the stream
 * ends. One that ends without finish_write is answered with what has arrived, and may be resumed.
 */
export async function receiveBlob(upload: BlobUpload): Promise<WriteResponse> {
  const { name, store, sessions, signal, invocationId, first, requests } = upload;
  throwIfAborted(signal);
  if (await isDone(upload)) return { committedSize: name.digest.sizeBytes };
  using attachment = sessions.attach(name, { offset: first.writeOffset, store, signal, invocationId });
  const { session } = attachment;
  let request: WriteRequest | undefined = first;
  while (!session.isFinishing) {
    checkSameName(request, first);
    attachment.accept(request.writeOffset, request.data);
    if (request.finishWrite) {
      session.finish();
      await storedAfterLast(session.stored(), session.digest, requests);
      break;
    }
    await attachment.next(session.drained(attachment.signal));
    const next = await attachment.next(requests.next());
    if (next === undefined) break;
    if (next.done) return { committedSize: session.committedBytes };
    request = next.value;
  }
  await session.stored();
  return { committedSize: session.digest.sizeBytes };
}

/** A client that comes back to an upload may find that the blob is there by now, however it came. */
async function isDone({ name, store, sessions, signal, invocationId, first }: BlobUpload): Promise<boolean> {
  if (first.writeOffset === 0 || sessions.committedBytes(name) !== undefined) return false;
  return (await store.findMissing([name.digest], { signal, invocationId })).length === 0;
}

function checkSameName({ resourceName }: WriteRequest, first: WriteRequest): void {
  if (resourceName === '' || resourceName === first.resourceName) return;
  throw invalidArgument(
    `Write ${quote(first.resourceName)}: the resource name changed to ${quote(resourceName)} on the way`,
  );
}
