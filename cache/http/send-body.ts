import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/**
 * Bytes of one answer that wait for the client. Measured with 64 MiB: 64 KiB leaves the socket idle between reads,
 * above 512 KiB nothing is gained.
 */
const WAITING_BYTES_MAX = 512 * 1024;

/**
 * A client that takes nothing for so long is let go, by Node's own measure: it looks twice, so within 28 s. Slow is
 * fast enough; only what waits here is looked at, not what our own work takes.
 */
const STALLED_MS = 14_000;

/** Lets the client go when it takes no byte of what is being sent; over when the answer is finished. */
export function limitStall({ socket }: ServerResponse): void {
  socket?.setTimeout(STALLED_MS);
}

/** What a body is sent with. */
export interface SendBodyOptions {
  readonly signal: AbortSignal;
  /** Called with the bytes of each piece as it is handed to the connection. */
  readonly onSent: (bytes: number) => void;
}

/**
 * Writes the body of an answer whose head is set, and ends it. Throws what the source throws, and then the answer is
 * not ended: the caller must cut it off. Stops, without an error, when the client is gone.
 */
export async function sendBody(
  response: ServerResponse,
  source: AsyncIterable<Uint8Array>,
  { signal, onSent }: SendBodyOptions,
): Promise<void> {
  for await (const chunk of source) {
    if (response.destroyed) return;
    response.write(chunk);
    onSent(chunk.byteLength);
    if (response.writableLength >= WAITING_BYTES_MAX && !(await drained(response, signal))) return;
  }
  limitStall(response);
  response.end();
}

/** False when the client left instead. */
async function drained(response: ServerResponse, signal: AbortSignal): Promise<boolean> {
  limitStall(response);
  try {
    await once(response, 'drain', { signal });
    response.socket?.setTimeout(0);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}
