import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/** How long a refused client may go on sending before it is cut off. */
const LINGER_MS = 2000;

/** Statuses for what Node's parser or its timers say; for anything else 400. */
const STATUSES: ReadonlyMap<string | undefined, number> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', 408],
  ['HPE_HEADER_OVERFLOW', 431],
]);

/**
 * Answers what cannot be understood as HTTP, and closes. What the client had under way is let in and thrown away: a
 * socket that is closed with bytes unread resets the connection, and the client may then never see its answer.
 */
export function refuseUnparsed(error: NodeJS.ErrnoException, socket: Socket): void {
  // Each further piece is an error again.
  if (socket.writableEnded || socket.destroyed) return;
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = STATUSES.get(error.code) ?? 400;
  const body = `${STATUS_CODES[status]}: ${error.message}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n` +
      `content-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  const linger = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(linger));
}
