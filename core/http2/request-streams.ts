import { ClosedStreams } from './closed-streams.ts';
import type { ConnectionOutput } from './connection-output.ts';
import { FloodGuard } from './flood-guard.ts';
import { Http2Error } from './http2-error.ts';
import type { Http2Limits } from './http2-limits.ts';
import { Http2Stream, type StreamHost } from './http2-stream.ts';
import type { PeerSettings } from './peer-settings.ts';
import { ErrorCode, WINDOW_BYTES_MAX } from './protocol.ts';
import type { RequestHeaders } from './request-headers.ts';
import type { StreamWindows } from './stream-windows.ts';

/** What {@link RequestStreams} are made of. */
export interface RequestStreamsDependencies {
  readonly limits: Http2Limits;
  readonly settings: PeerSettings;
  readonly output: ConnectionOutput;
  readonly windows: StreamWindows;
  readonly onStream: (stream: Http2Stream) => void;
  /** The last stream is over. */
  readonly onEmpty: () => void;
}

/** The streams of one connection, from HEADERS to the end of both sides. */
export class RequestStreams implements StreamHost {
  readonly output: ConnectionOutput;
  readonly windows: StreamWindows;
  readonly guard: FloodGuard;
  readonly #limits: Http2Limits;
  readonly #settings: PeerSettings;
  readonly #onStream: (stream: Http2Stream) => void;
  readonly #onEmpty: () => void;
  readonly #streams = new Map<number, Http2Stream>();
  readonly #reset = new ClosedStreams();
  #lastId = 0;
  #refusing = false;

  constructor({ limits, settings, output, windows, onStream, onEmpty }: RequestStreamsDependencies) {
    this.output = output;
    this.windows = windows;
    this.guard = new FloodGuard(limits);
    this.#limits = limits;
    this.#settings = settings;
    this.#onStream = onStream;
    this.#onEmpty = onEmpty;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** The last stream that was taken. */
  get lastId(): number {
    return this.#lastId;
  }

  get(id: number): Http2Stream | undefined {
    return this.#streams.get(id);
  }

  /** A stream that no one has opened yet. */
  isIdle(id: number): boolean {
    return id > this.#lastId && !this.#refusing;
  }

  /** Frames of this stream may still be under way, since it was we who ended it. */
  wasReset(id: number): boolean {
    return this.#reset.has(id) || (this.#refusing && id > this.#lastId);
  }

  /** Those that come from now on are dropped: the GOAWAY tells their client that they were not looked at. */
  refuseNew(): void {
    this.#refusing = true;
  }

  /** A request has come. Throws an Http2Error when its number is wrong. */
  open(id: number, headers: RequestHeaders, options: { endStream: boolean; overLimit: boolean }): void {
    if (this.#refusing && id > this.#lastId) return;
    if (id % 2 === 0) throw new Http2Error(ErrorCode.protocolError, 'a client opens a stream of even number');
    if (id <= this.#lastId)
      throw new Http2Error(ErrorCode.streamClosed, 'a client sends HEADERS of a stream that is over');
    this.#lastId = id;
    if (options.overLimit) this.fault(id, ErrorCode.enhanceYourCalm);
    else if (headers.fault !== undefined) this.fault(id, ErrorCode.protocolError);
    else if (this.#streams.size >= this.#limits.streamsMax) this.fault(id, ErrorCode.refusedStream);
    else this.#begin(id, headers, options.endStream);
  }

  /** The client has said that its request is whole. */
  endRequest(stream: Http2Stream): void {
    stream.endRequest();
    const { contentLength } = stream.headers;
    if (contentLength !== undefined && Number(contentLength) !== stream.requestBytes) {
      this.fault(stream.id, ErrorCode.protocolError);
      return;
    }
    stream.listener?.onEnd();
    if (stream.closed) this.#forget(stream.id);
  }

  /** The client has reset a stream. */
  leave(id: number, code: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.guard.countReset();
    stream.leave(code);
    this.#forget(id);
  }

  /** Resets a stream because of what its client did; counts as if the client had reset it. */
  fault(id: number, code: number): void {
    this.guard.countReset();
    this.#sendReset(id, code);
    this.#streams.get(id)?.leave(code);
    this.#forget(id);
  }

  /** The connection is lost, and all that ran on it. */
  leaveAll(): void {
    for (const stream of this.#streams.values()) stream.leave('lost');
    this.#streams.clear();
  }

  streamAnswered(stream: Http2Stream, { reset }: { readonly reset: boolean }): void {
    if (reset && !stream.requestEnded) this.#sendReset(stream.id, ErrorCode.noError);
    if (reset || stream.requestEnded) this.#forget(stream.id);
  }

  /** The client's SETTINGS have changed what may be sent on every stream. */
  onInitialWindow(changeBytes: number): void {
    for (const stream of this.#streams.values()) {
      stream.sendWindow += changeBytes;
      if (stream.sendWindow > WINDOW_BYTES_MAX) {
        throw new Http2Error(ErrorCode.flowControlError, 'SETTINGS make the window of a stream too large');
      }
      this.output.resume(stream);
    }
  }

  #begin(id: number, headers: RequestHeaders, endStream: boolean): void {
    const stream = new Http2Stream(this, id, headers, this.#settings.initialWindowBytes);
    this.#streams.set(id, stream);
    this.#onStream(stream);
    if (endStream) this.endRequest(stream);
  }

  #sendReset(id: number, code: number): void {
    this.#reset.add(id);
    this.output.control((frames) => frames.reset(id, code));
  }

  #forget(id: number): void {
    if (this.#streams.delete(id) && this.#streams.size === 0) this.#onEmpty();
  }
}
