import type { IoOptions } from '../io-options.ts';

/** One message as a subscriber sees it. */
export interface BusMessage {
  readonly subject: string;
  readonly payload: Uint8Array;
}

/**
 * Handles one message. What it returns answers a request (nothing answers with an empty payload); an IngotError
 * it throws reaches the requester with its code and message. For a plain publish, both are dropped and an error logged.
 */
export type BusHandler = (message: BusMessage) => Promise<Uint8Array | undefined>;

/** An open subscription. */
export interface BusSubscription extends AsyncDisposable {
  /** Takes nothing new and waits for the handlers under way. */
  close(): Promise<void>;
}

export interface SubscribeOptions {
  /** Subscribers that name the same group share the messages: each goes to one of them. */
  readonly queueGroup?: string;
}

export interface RequestOptions extends IoOptions {
  /** How long to wait for the reply; then DEADLINE_EXCEEDED. */
  readonly timeoutMs: number;
}

/**
 * How processes of a farm call each other's attention. At most once, unordered between subjects, never a record:
 * a message may be lost, delayed or repeated. Subjects are dot-separated words; a subscriber may use `*` for one
 * word. A payload is at most {@link BUS_PAYLOAD_BYTES_MAX}: send digests, not blobs.
 */
export interface MessageBus extends AsyncDisposable {
  /** Sends and forgets. Dropped, without an error, while the bus is away. Too large a payload throws. */
  publish(subject: string, payload: Uint8Array): void;
  /** Resolves once messages published after it reach the handler. Survives reconnects. */
  subscribe(subject: string, handler: BusHandler, options?: SubscribeOptions): Promise<BusSubscription>;
  /** One reply to one message. UNAVAILABLE when nobody listens or the bus is away. */
  request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array>;
  /** Lets handlers under way finish, then disconnects. */
  close(): Promise<void>;
}

/** NATS's own default limit is 1 MiB with headers; below it by enough for ours. */
export const BUS_PAYLOAD_BYTES_MAX = 1000 * 1024;
