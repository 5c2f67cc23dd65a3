import { throwIfAborted } from '../../core/abort.ts';
import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import { Compressor_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { WriteRequest, WriteResponse } from '../../proto/gen/google/bytestream/bytestream.ts';
import type { BlobStore } from '../blob-store.ts';
import { storedAfterLast } from './stored-after-last.ts';
import type { UploadSink } from './upload-sink.ts';
import type { UploadName, WriteSessions } from './write-sessions.ts';

/** One stream of a blob's upload. */
export interface BlobUpload {
  readonly name: UploadName;
  readonly store: BlobStore;
  readonly sink: UploadSink;
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
  const { name, sink, sessions, signal, invocationId, first, requests } = upload;
  throwIfAborted(signal);
  if (await isDone(upload)) return { committedSize: finishedEarly(name) };
  using attachment = sessions.attach(name, { offset: first.writeOffset, sink, signal, invocationId });
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
  const sentWhole = session.isComplete && name.compressor !== Compressor_Value.IDENTITY;
  return { committedSize: sentWhole ? session.committedBytes : finishedEarly(name) };
}

/** What answers an upload of which no more is needed: REAPI gives one that comes compressed a number of its own. */
export function finishedEarly({ digest, compressor }: UploadName): number {
  return compressor === Compressor_Value.IDENTITY ? digest.sizeBytes : -1;
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
