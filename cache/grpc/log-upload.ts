import { aborted, cancelled, invalidArgument, isIngotError, outOfRange } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type { WriteRequest, WriteResponse } from '../../proto/gen/google/bytestream/bytestream.ts';
import type { ResumableLogStreams } from '../logs/resumable-log-streams.ts';

/** One stream of a log's bytes. */
export interface LogUpload {
  readonly name: string;
  readonly logStreams: ResumableLogStreams;
  readonly signal: AbortSignal;
  readonly first: WriteRequest;
  /** The messages after it. */
  readonly requests: AsyncIterable<WriteRequest>;
}

/**
 * Appends a stream of WriteRequests to a log. finish_write ends the log; a stream that ends without it is answered
 * with what has arrived, and may be resumed there.
 */
export async function receiveLog(upload: LogUpload): Promise<WriteResponse> {
  const { name, logStreams, signal, first } = upload;
  const status = await logStreams.status(name, { signal });
  const committed = status?.sizeBytes ?? 0;
  if (status?.ended) throw aborted(`Write ${quote(name)}: the log has ended at ${committed} bytes`);
  checkOffset(name, first, committed);
  const received = { bytes: committed };
  try {
    await logStreams.write(name, pieces(upload, received), { signal });
  } catch (error) {
    if (!isIngotError(error) || error.cause !== INTERRUPTED) throw error;
  }
  return { committedSize: received.bytes };
}

/** Marks the error by which a log stays open although its writer's stream is over. */
const INTERRUPTED = Symbol('interrupted');

async function* pieces(
  { name, first, requests }: LogUpload,
  received: { bytes: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  const take = (request: WriteRequest): Uint8Array => {
    if (request.resourceName !== '' && request.resourceName !== first.resourceName) {
      throw invalidArgument(`Write ${quote(name)}: the resource name changed on the way`);
    }
    checkOffset(name, request, received.bytes);
    received.bytes += request.data.byteLength;
    return request.data;
  };
  yield take(first);
  if (first.finishWrite) return;
  for await (const request of requests) {
    yield take(request);
    if (request.finishWrite) return;
  }
  throw cancelled(`Write ${quote(name)}: the stream ended without finish_write`, { cause: INTERRUPTED });
}

function checkOffset(name: string, { writeOffset }: WriteRequest, committed: number): void {
  if (writeOffset === committed) return;
  const factory = writeOffset > committed ? outOfRange : invalidArgument;
  throw factory(`Write ${quote(name)}: offset ${writeOffset} where ${committed} bytes have arrived`);
}
