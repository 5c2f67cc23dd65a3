import type { Rate } from './rate-limit.ts';

/** What one {@link Http2Connection} allows its client; the limits of calls and messages stand above it. */
export interface Http2Limits {
  /** Streams at once; more are refused. */
  readonly streamsMax: number;
  /** All header fields of a request, as HPACK counts them; twice as many bytes of the block that holds them. */
  readonly headerBytesMax: number;
  /** What a client may send on one stream before anyone has read any. */
  readonly firstWindowBytes: number;
  /** What it may be ahead by on a stream that is read: bandwidth × round trip. */
  readonly wideWindowBytes: number;
  /** Streams of all connections together that have a wide window; the others keep the first one. */
  readonly wideStreamsMax: number;
  /** What a client may send on the connection before the server has read any. */
  readonly connectionWindowBytes: number;
  /** Streams that are reset before they are answered, by the client or because of what it sent. */
  readonly resets: Rate;
  /** PING, PRIORITY, empty DATA, frames of streams that are over: they cost the client little, and do nothing. */
  readonly idleFrames: Rate;
  /** SETTINGS, each of which touches every stream. */
  readonly settings: Rate;
}

/** Frames that a header block may come in; a sound client needs one. */
export const HEADER_FRAMES_MAX = 16;
/** Largest frame accepted. Clients that heed it send an upload in a quarter of the frames of HTTP/2's default. */
export const FRAME_BYTES_MAX = 64 * 1024;
/** DATA handed to the socket and not sent yet; a slow reader costs the server so much, and one chunk a stream. */
export const UNSENT_BYTES_MAX = 256 * 1024;
/** All that is handed to the socket and not sent yet. Only a client that asks and never reads gets here: it is not read. */
export const UNREAD_BYTES_MAX = 1024 * 1024;
/** After a GOAWAY, for the client to read it and close. */
export const LINGER_MS = 1000;
