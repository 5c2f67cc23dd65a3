import type { IncomingMessage } from 'node:http';

/** Bytes of one request that are let in to be thrown away: a large upload whose client looks only once all is sent. */
const DROPPED_BYTES_MAX = 256 * 1024 * 1024;
/** And for how long. */
const DROPPING_MS = 30_000;

/** Nothing of the request is still to come, or waits to be read. */
export function isReadToItsEnd({ complete, readableLength }: IncomingMessage): boolean {
  return complete && readableLength === 0;
}

/**
 * Lets in what a client is still sending of a request that nobody reads on, and throws it away. A connection that is
 * closed with bytes unread is reset, and one whose bytes are not read stands still: either way a client that sends all
 * before it reads would not see its answer. Who sends too much or for too long is cut off.
 */
export async function dropRest(request: IncomingMessage): Promise<void> {
  let droppedBytes = 0;
  const timer = setTimeout(() => request.destroy(), DROPPING_MS);
  try {
    for await (const chunk of request) {
      droppedBytes += chunk.byteLength;
      if (droppedBytes > DROPPED_BYTES_MAX) request.destroy();
    }
  } catch {
    // The client has gone, or was cut off: there is nothing more to let in.
  } finally {
    clearTimeout(timer);
  }
}
