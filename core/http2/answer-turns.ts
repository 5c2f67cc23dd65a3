import type { Http2Stream } from './http2-stream.ts';

/** Pieces up to this size are never waited with: they cost less than the wait. */
const SMALL_PIECE_BYTES = 4 * 1024;
/** How long a piece is waited for before others get its place: some answers say nothing for hours. */
const PATIENCE_MS = 50;

/** What {@link AnswerTurns} need of the connection. */
export interface AnswerTurnsDependencies {
  /** Whether so many bytes more would find room, with nothing of other streams before them. */
  readonly hasRoom: (bytes: number) => boolean;
  /** Asks for `next` to be called soon. */
  readonly wake: () => void;
}

/**
 * Whose turn it is to make the next piece of an answer. A piece is made only when it can be sent, so that a thousand
 * answers on a connection that is behind hold a few pieces and not a thousand.
 */
export class AnswerTurns {
  readonly #hasRoom: (bytes: number) => boolean;
  readonly #wake: () => void;
  #waiting: Http2Stream[] = [];
  /** Of pieces that are being made. */
  #expectedBytes = 0;
  #patience: NodeJS.Timeout | undefined;

  constructor({ hasRoom, wake }: AnswerTurnsDependencies) {
    this.#hasRoom = hasRoom;
    this.#wake = wake;
  }

  /** True when a stream may make a piece of about this size now; else it waits. */
  take(stream: Http2Stream, bytes: number): boolean {
    if (stream.queuedBytes === 0) {
      if (bytes <= SMALL_PIECE_BYTES && this.#hasRoom(0)) return true;
      if (this.#waiting.length === 0 && this.#grant(stream, bytes)) return true;
    }
    stream.wantedBytes = bytes;
    this.add(stream);
    return false;
  }

  /** A stream that waits for its turn has nothing before it any more; call it whenever that may be so. */
  add(stream: Http2Stream): void {
    if (stream.wantedBytes === undefined || stream.waitsForTurn || stream.queuedBytes > 0) return;
    if (stream.sendWindow <= 0) return;
    stream.waitsForTurn = true;
    this.#waiting.push(stream);
    this.#wake();
  }

  /** The piece that the stream was to make is here, or will not come. */
  arrived(stream: Http2Stream): void {
    if (stream.expectedBytes === 0) return;
    this.#expectedBytes = Math.max(0, this.#expectedBytes - stream.expectedBytes);
    stream.expectedBytes = 0;
    if (this.#waiting.length > 0) this.#wake();
  }

  /** Gives turns to those that have waited longest, as far as there is room. */
  next(): void {
    let given = 0;
    for (const stream of this.#waiting) {
      if (!stream.closed && stream.sendWindow > 0 && !this.#grant(stream, stream.wantedBytes ?? 0)) break;
      given++;
      stream.waitsForTurn = false;
      // One whose window is used up comes back with its WINDOW_UPDATE.
      if (!stream.closed && stream.sendWindow <= 0) continue;
      stream.wantedBytes = undefined;
      stream.onRoom();
    }
    if (given > 0) this.#waiting = this.#waiting.slice(given);
    if (this.#waiting.length > 0 && this.#expectedBytes > 0) this.#bePatient();
  }

  close(): void {
    this.#waiting = [];
    clearTimeout(this.#patience);
  }

  #grant(stream: Http2Stream, bytes: number): boolean {
    if (stream.sendWindow <= 0 || !this.#hasRoom(this.#expectedBytes)) return false;
    this.#expectedBytes += bytes;
    stream.expectedBytes = bytes;
    return true;
  }

  #bePatient(): void {
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      this.#expectedBytes = 0;
      this.#wake();
    }, PATIENCE_MS);
  }
}
