import type { ConnectionOutput } from './connection-output.ts';
import type { RequestHeaders } from './request-headers.ts';
import type { StreamWindows } from './stream-windows.ts';

/** Hears what becomes of a request. After `onEnd`, no more bytes come; after `onGone`, nothing. */
export interface StreamListener {
  /** Bytes of the request, between two positions; they are only lent. */
  onData(bytes: Buffer, start: number, end: number): void;
  /** The client said that this was all. */
  onEnd(): void;
  /** The stream was ended by the client, its connection or its faults, before the answer was complete. */
  onGone(): void;
}

/** What a stream needs of its connection. */
export interface StreamHost {
  readonly output: ConnectionOutput;
  readonly windows: StreamWindows;
  /** The stream has been answered; `reset` tells a client that still sends to stop. */
  streamAnswered(stream: Http2Stream, options: { readonly reset: boolean }): void;
}

/** Sent bytes that are worth a copy of the rest, when a client with a small window keeps it for long. */
const TRIM_BYTES_MIN = 32 * 1024;

/**
 * One request and its answer. States: open, answered (all of the answer is with the connection), gone (`onGone` was
 * called). Writing to one that is not open does nothing.
 */
export class Http2Stream {
  readonly id: number;
  readonly headers: RequestHeaders;
  readonly #host: StreamHost;
  listener: StreamListener | undefined;
  /** Payload so far, for a request that says how long it is. */
  requestBytes = 0;
  /** Bytes that may still come, those of a frame under way among them. */
  receiveWindow: number;
  /** What may still be sent to the client; below zero after it made its windows smaller. */
  sendWindow: number;
  /** Why it is gone: a code of HTTP/2, or a connection that is lost. */
  goneCode: number | 'lost' | undefined;
  /** It stands in the connection's list of those that wait to send. */
  listed = false;
  /** It stands in the connection's list of those that wait to make more. */
  waitsForTurn = false;
  /** How much it wants to make; undefined when it does not wait. */
  wantedBytes: number | undefined;
  /** How much it is about to make. */
  expectedBytes = 0;
  /** What the receive window is filled up to. */
  #windowBytes: number;
  #wide = false;
  #paused = false;
  #requestEnded = false;
  #answered = false;
  #headersSent = false;
  /** Payload that waits for windows or for the socket; the first is sent up to `#sent`. */
  readonly #queue: Uint8Array[] = [];
  #sent = 0;
  #queuedBytes = 0;
  /** Who is to be told when a queued piece is with the system; most are not waited for. */
  #onSent: Map<Uint8Array, () => void> | undefined;
  #trailers: Uint8Array | undefined;
  #resetWhenDone = false;
  #room: PromiseWithResolvers<void> | undefined;

  constructor(host: StreamHost, id: number, headers: RequestHeaders, sendWindow: number) {
    this.#host = host;
    this.id = id;
    this.headers = headers;
    this.#windowBytes = host.windows.firstBytes;
    this.receiveWindow = this.#windowBytes;
    this.sendWindow = sendWindow;
  }

  /** The client has sent its END_STREAM. */
  get requestEnded(): boolean {
    return this.#requestEnded;
  }

  /** What the client may be ahead by. */
  get windowBytes(): number {
    return this.#windowBytes;
  }

  get headersSent(): boolean {
    return this.#headersSent;
  }

  /** It is answered, or gone. */
  get closed(): boolean {
    return this.#answered || this.goneCode !== undefined;
  }

  /** Bytes that wait to be sent. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Sends the header block of the answer, which may be the whole answer. */
  respond(block: Uint8Array, { endStream = false, reset = false } = {}): void {
    if (this.closed) return;
    this.#headersSent = true;
    this.#host.output.headers(this, block, endStream);
    if (endStream) this.#finish(reset);
  }

  /**
   * To be asked before a piece of an answer is made, with its size as far as one can guess: undefined when it can be made
   * now, else a promise that resolves when it can be, or the stream is closed.
   */
  turn(bytes: number): Promise<void> | undefined {
    if (this.closed || this.#host.output.takeTurn(this, bytes)) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /**
   * Sends payload; see `turn`. `onSent` is called when its memory may serve again, which may be never: not when the
   * stream or the connection broke.
   */
  write(parts: readonly Uint8Array[], onSent?: () => void): void {
    if (this.closed) return;
    this.#enqueue(parts, onSent);
    this.#host.output.send(this);
  }

  /** Sends this payload and then the trailers, which end the stream; with `reset`, a client that sends is stopped. */
  end(
    parts: readonly Uint8Array[],
    trailers: Uint8Array,
    { reset, onSent }: { readonly reset: boolean; readonly onSent?: (() => void) | undefined },
  ): void {
    if (this.closed) return;
    this.#trailers = trailers;
    this.#resetWhenDone = reset;
    this.#enqueue(parts, onSent);
    this.#host.output.send(this);
  }

  /** Lets the client send no more than its window. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.refill();
  }

  /** Opens the window again when half of it is used: wide, now that what comes is read, if there is room for that. */
  refill(): void {
    if (this.#paused || this.#requestEnded || this.closed || this.receiveWindow > this.#windowBytes / 2)
      return;
    if (!this.#wide && this.#host.windows.widen()) {
      this.#wide = true;
      this.#windowBytes = this.#host.windows.wideBytes;
    }
    this.#host.output.windowUpdate(this.id, this.#windowBytes - this.receiveWindow);
    this.receiveWindow = this.#windowBytes;
  }

  /** For the connection: no more comes. */
  endRequest(): void {
    this.#requestEnded = true;
    this.#narrow();
  }

  /** For the connection's output: sends one frame of at most so many bytes. */
  sendFrame(bytesMax: number): void {
    const [first] = this.#queue;
    if (first === undefined) return;
    const end = Math.min(first.length, this.#sent + bytesMax);
    const onSent = end === first.length ? this.#onSent?.get(first) : undefined;
    if (onSent !== undefined) this.#onSent?.delete(first);
    this.#host.output.data(this, first, this.#sent, end, onSent);
    this.#queuedBytes -= end - this.#sent;
    this.#sent = end;
    if (end < first.length) return;
    this.#queue.shift();
    this.#sent = 0;
  }

  /** For the connection's output: nothing is sent before the client opens the window. What was sent is let go. */
  onBlocked(): void {
    const [first] = this.#queue;
    if (first === undefined || this.#sent < TRIM_BYTES_MIN) return;
    const rest = Buffer.allocUnsafeSlow(first.length - this.#sent);
    rest.set(first.subarray(this.#sent));
    this.#onSent?.delete(first);
    this.#queue[0] = rest;
    this.#sent = 0;
  }

  /** For the connection's output: it may make more. */
  onRoom(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.resolve();
  }

  /** For the connection's output: all is sent; the trailers follow when it was the end. */
  onAllSent(): void {
    if (this.#trailers === undefined || this.closed) return;
    this.#host.output.headers(this, this.#trailers, true);
    this.#finish(this.#resetWhenDone);
  }

  /** For the connection: it ends here, whatever was still to come. */
  leave(code: number | 'lost'): void {
    if (this.closed) return;
    this.goneCode = code;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#onSent = undefined;
    this.#narrow();
    this.#host.output.endTurn(this);
    this.onRoom();
    this.listener?.onGone();
  }

  #enqueue(parts: readonly Uint8Array[], onSent: (() => void) | undefined): void {
    let last: Uint8Array | undefined;
    for (const part of parts) {
      if (part.length === 0) continue;
      this.#queue.push(part);
      this.#queuedBytes += part.length;
      last = part;
    }
    if (onSent === undefined || last === undefined) return;
    this.#onSent ??= new Map();
    this.#onSent.set(last, onSent);
  }

  #narrow(): void {
    if (this.#wide) this.#host.windows.narrow();
    this.#wide = false;
  }

  #finish(reset: boolean): void {
    this.#answered = true;
    this.#narrow();
    this.#host.output.endTurn(this);
    this.onRoom();
    this.#host.streamAnswered(this, { reset });
  }
}
