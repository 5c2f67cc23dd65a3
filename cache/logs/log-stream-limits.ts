/** What log streams may take of a server. */
export interface LogStreamLimits {
  /** Bytes kept of one stream; what comes after is dropped, and the stream says so at its end. */
  readonly streamBytesMax: number;
  /** Bytes kept of all streams; the oldest ended ones are forgotten beyond it. */
  readonly totalBytesMax: number;
  /** Streams known at once, those only waited for included. */
  readonly streamsMax: number;
  /** How long a stream is kept after its end. */
  readonly endedMs: number;
  /** How long a stream whose writer has gone without ending it waits for the writer's return; then it ends. */
  readonly detachedMs: number;
  /** How long a reader waits for a stream to appear. */
  readonly appearMs: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const MINUTE_MS = 60_000;

/**
 * A build step that prints more than 64 MiB is in a loop; the KiB leave room for the line with which a worker ends a
 * log that it cuts there, so that the stream is the same as the result. An hour is enough to look at what failed.
 */
export const defaultLogStreamLimits: LogStreamLimits = {
  streamBytesMax: 64 * MIB + 4 * KIB,
  totalBytesMax: 4096 * MIB,
  streamsMax: 20_000,
  endedMs: 60 * MINUTE_MS,
  detachedMs: 2 * MINUTE_MS,
  appearMs: 10 * MINUTE_MS,
};
