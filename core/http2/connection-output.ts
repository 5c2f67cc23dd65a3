import type { Socket } from 'node:net';
import { AnswerTurns } from './answer-turns.ts';
import { FrameWriter } from './frame-writer.ts';
import { Http2Error } from './http2-error.ts';
import { UNREAD_BYTES_MAX, UNSENT_BYTES_MAX } from './http2-limits.ts';
import type { Http2Stream } from './http2-stream.ts';
import type { PeerSettings } from './peer-settings.ts';
import { DEFAULT_WINDOW_BYTES, ErrorCode, WINDOW_BYTES_MAX } from './protocol.ts';
import type { TurnWriter, WriteTurn } from './write-turn.ts';

/** What a {@link ConnectionOutput} is made of. */
export interface ConnectionOutputDependencies {
  readonly socket: Socket;
  readonly settings: PeerSettings;
  readonly turn: WriteTurn;
}

/**
 * What goes out on one connection: frames gather until the turn's end and leave in one write. Payload waits with its
 * stream for the windows and while much is unsent, and then goes a frame of each stream in turn. When nothing waits,
 * answers that come in pieces get their turn to make the next.
 */
export class ConnectionOutput implements TurnWriter {
  readonly #socket: Socket;
  readonly #settings: PeerSettings;
  readonly #turn: WriteTurn;
  readonly #frames = new FrameWriter();
  #window = DEFAULT_WINDOW_BYTES;
  /** Those that wait for the connection's window or the socket; one that waits for its own window is not here. */
  #waiting: Http2Stream[] = [];
  readonly #turns: AnswerTurns;
  #asked = false;
  #closed = false;

  constructor({ socket, settings, turn }: ConnectionOutputDependencies) {
    this.#socket = socket;
    this.#settings = settings;
    this.#turn = turn;
    this.#turns = new AnswerTurns({
      hasRoom: (bytes) =>
        this.#window > 0 && this.#waiting.length === 0 && this.#unsentBytes() + bytes < UNSENT_BYTES_MAX,
      wake: () => this.#flushLater(),
    });
    socket.on('drain', () => this.#onDrain());
  }

  /** Writes what has gathered now, and at each end of a turn that something was sent in. */
  flush(): void {
    this.#asked = false;
    if (this.#closed) return;
    this.#sendWaiting();
    this.#turns.next();
    const parts = this.#frames.take();
    if (parts.length === 0) return;
    const socket = this.#socket;
    const written = whenWritten(this.#frames.takeListeners());
    const last = parts.length - 1;
    if (last > 0) socket.cork();
    for (let at = 0; at < last; at++) socket.write(parts[at] as Uint8Array);
    socket.write(parts[last] as Uint8Array, written);
    if (last > 0) socket.uncork();
    if (socket.writableLength > UNREAD_BYTES_MAX) socket.pause();
    if (this.#waiting.length > 0 && this.#mayTakeMore()) this.#flushLater();
  }

  /** Nothing is written any more. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#turns.close();
  }

  /** True when the stream may make more now, about so many bytes; else its `onRoom` is called once it may. */
  takeTurn(stream: Http2Stream, bytes: number): boolean {
    return this.#turns.take(stream, bytes);
  }

  /** No piece of this stream is waited for any more. */
  endTurn(stream: Http2Stream): void {
    this.#turns.arrived(stream);
  }

  /** Sends what the stream has queued, as far as it may. */
  send(stream: Http2Stream): void {
    this.#turns.arrived(stream);
    while (stream.queuedBytes > 0) {
      const bytes = this.#room(stream);
      if (bytes <= 0) {
        if (stream.sendWindow > 0) this.#wait(stream);
        else stream.onBlocked();
        return;
      }
      stream.sendFrame(bytes);
    }
    stream.onAllSent();
  }

  headers(stream: Http2Stream, block: Uint8Array, endStream: boolean): void {
    this.#frames.headers(stream.id, block, endStream, this.#settings.frameBytesMax);
    this.#flushLater();
  }

  /** Only for a stream that was told how much it may send. */
  data(stream: Http2Stream, payload: Uint8Array, start: number, end: number, onSent?: () => void): void {
    this.#frames.data(stream.id, payload, start, end, onSent);
    this.#window -= end - start;
    stream.sendWindow -= end - start;
    this.#flushLater();
  }

  windowUpdate(streamId: number, bytes: number): void {
    this.#frames.windowUpdate(streamId, bytes);
    this.#flushLater();
  }

  /** Sends frames that belong to no stream's order. */
  control(write: (frames: FrameWriter) => void): void {
    write(this.#frames);
    this.#flushLater();
  }

  /** The client has opened the connection's window. */
  grow(bytes: number): void {
    if (this.#window + bytes > WINDOW_BYTES_MAX) {
      throw new Http2Error(ErrorCode.flowControlError, 'the window of the connection grows too large');
    }
    this.#window += bytes;
    this.#flushLater();
  }

  /** The client has opened this stream's window. */
  resume(stream: Http2Stream): void {
    if (stream.sendWindow <= 0) return;
    if (stream.queuedBytes === 0) this.#turns.add(stream);
    else {
      this.#wait(stream);
      this.#flushLater();
    }
  }

  #sendWaiting(): void {
    while (this.#waiting.length > 0) {
      const round = this.#waiting;
      this.#waiting = [];
      for (let at = 0; at < round.length; at++) {
        if (!this.#mayTakeMore()) {
          this.#waiting = round.slice(at).concat(this.#waiting);
          return;
        }
        const stream = round[at];
        if (stream !== undefined) this.#sendOne(stream);
      }
    }
  }

  /** One frame of a stream, which then stands last. */
  #sendOne(stream: Http2Stream): void {
    stream.listed = false;
    if (stream.closed) return;
    if (stream.queuedBytes > 0) {
      const bytes = this.#room(stream);
      // Its own window is used up: the client's WINDOW_UPDATE brings it back.
      if (bytes <= 0) {
        stream.onBlocked();
        return;
      }
      stream.sendFrame(bytes);
    }
    if (stream.queuedBytes > 0) {
      if (stream.sendWindow > 0) this.#wait(stream);
      else stream.onBlocked();
    } else {
      stream.onAllSent();
      this.#turns.add(stream);
    }
  }

  #room(stream: Http2Stream): number {
    if (this.#unsentBytes() >= UNSENT_BYTES_MAX) return 0;
    return Math.min(this.#settings.frameBytesMax, stream.sendWindow, this.#window);
  }

  #mayTakeMore(): boolean {
    return this.#window > 0 && this.#unsentBytes() < UNSENT_BYTES_MAX;
  }

  #wait(stream: Http2Stream): void {
    if (stream.listed) return;
    stream.listed = true;
    this.#waiting.push(stream);
  }

  #unsentBytes(): number {
    return this.#frames.bytes + this.#socket.writableLength;
  }

  #onDrain(): void {
    if (this.#socket.isPaused()) this.#socket.resume();
    this.#flushLater();
  }

  #flushLater(): void {
    if (this.#asked || this.#closed) return;
    this.#asked = true;
    this.#turn.add(this);
  }
}

/** Nobody is told when the connection broke: the system may still be looking at the bytes. */
function whenWritten(
  listeners: readonly (() => void)[] | undefined,
): ((error?: Error | null) => void) | undefined {
  if (listeners === undefined) return undefined;
  return (error) => {
    if (!error) for (const listener of listeners) listener();
  };
}
