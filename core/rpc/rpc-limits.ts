import { DEFAULT_WINDOW_BYTES } from '../http2/protocol.ts';

/** What one RpcServer allows; every number bounds memory, time or work that a client could ask for. */
export interface RpcServerLimits {
  /** Largest request message, before and after decompression. 4 MiB is what every gRPC client sends by default. */
  readonly messageBytesMax: number;
  /** Calls at once on all connections; more are refused. */
  readonly callsMax: number;
  /**
   * Bytes of requests held: received and not taken by a handler yet, unary ones until their handler is done, and what may
   * still come in the windows of paused streams. Calls beyond it fail.
   */
  readonly bufferedBytesMax: number;
  /** Bytes of one request stream read ahead of its handler before the stream is paused; at most half its window. */
  readonly readAheadBytes: number;
  /** Calls at once on one connection; a waiting Execute holds one, so it is above any client's job count. */
  readonly streamsPerSessionMax: number;
  /** Connections at once; more are closed as they come. */
  readonly sessionsMax: number;
  /** All request headers of a call, names and values and 32 bytes for each. */
  readonly headerBytesMax: number;
  /** What a client may send on one stream before the server has read any, so that many calls do not mean much memory. */
  readonly firstWindowBytes: number;
  /** What it may be ahead by once the server reads: bandwidth × round trip of one upload. */
  readonly wideWindowBytes: number;
  /** Calls on all connections together that have the wide window; the others keep the first. */
  readonly wideStreamsMax: number;
  /** What a client may send on a whole connection before the server has read any. */
  readonly sessionWindowBytes: number;
  /** A connection that has been silent this long is pinged. */
  readonly keepaliveIdleMs: number;
  /** A connection that leaves a ping unanswered this long is dead, and its calls are cancelled. */
  readonly keepaliveTimeoutMs: number;
  /** Streams a client may reset in a burst, and then per second, before its connection is ended. */
  readonly resetBurst: number;
  /** See `resetBurst`. Clients that learn that a blob is there already reset their upload, so it is not small. */
  readonly resetsPerSecond: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** The limits a server has when it is given none. A dead client is noticed in 10 s + 10 s + one look-round. */
export const defaultRpcServerLimits: RpcServerLimits = {
  messageBytesMax: 4 * MIB,
  callsMax: 50_000,
  bufferedBytesMax: 512 * MIB,
  readAheadBytes: 128 * KIB,
  streamsPerSessionMax: 2000,
  sessionsMax: 2000,
  headerBytesMax: 32 * KIB,
  firstWindowBytes: DEFAULT_WINDOW_BYTES,
  wideWindowBytes: 1 * MIB,
  wideStreamsMax: 64,
  sessionWindowBytes: 16 * MIB,
  keepaliveIdleMs: 10_000,
  keepaliveTimeoutMs: 10_000,
  resetBurst: 20_000,
  resetsPerSecond: 5_000,
};
