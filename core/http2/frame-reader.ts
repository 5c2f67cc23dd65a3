import { Http2Error } from './http2-error.ts';
import { ErrorCode, FRAME_HEADER_BYTES, FrameFlag, FrameType, PREFACE } from './protocol.ts';

/** Takes what a {@link FrameReader} reads. Positions are in the chunk being read, which is only lent. */
export interface FrameSink {
  /** A whole frame other than DATA. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
  /** A DATA frame begins; `bytes` are those that count in the windows, padding included. */
  onDataStart(streamId: number, bytes: number): void;
  /** Some of its payload, as it comes in. */
  onDataBytes(bytes: Buffer, start: number, end: number): void;
  onDataEnd(endStream: boolean): void;
}

const EMPTY: Buffer = Buffer.alloc(0);

/**
 * Cuts what a client sends into frames, wherever the chunks were cut. Payload of DATA is passed on as it comes; other
 * frames are short, and are passed on whole. Throws an Http2Error at what is no HTTP/2.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #frameBytesMax: number;
  #prefaceBytes = 0;
  /** What was cut: the beginning of a header, or of a frame that is passed on whole. */
  #kept = EMPTY;
  #keptBytes = 0;
  /** Of the DATA frame under way; -1 is none. */
  #dataLeft = -1;
  #padding = 0;
  #padLengthNext = false;
  #endStream = false;
  #stopped = false;

  constructor(sink: FrameSink, { frameBytesMax }: { readonly frameBytesMax: number }) {
    this.#sink = sink;
    this.#frameBytesMax = frameBytesMax;
  }

  /** The client has said that it speaks HTTP/2. */
  get greeted(): boolean {
    return this.#prefaceBytes === PREFACE.length;
  }

  /** Reads nothing more, not even what is left of this chunk. */
  stop(): void {
    this.#stopped = true;
  }

  push(chunk: Buffer): void {
    let at = this.greeted ? 0 : this.#readPreface(chunk);
    while (at < chunk.length && !this.#stopped) {
      if (this.#dataLeft >= 0) at = this.#readData(chunk, at);
      else if (this.#keptBytes > 0) at = this.#readKept(chunk, at);
      else at = this.#readFrame(chunk, at);
    }
  }

  #readPreface(chunk: Buffer): number {
    const bytes = Math.min(PREFACE.length - this.#prefaceBytes, chunk.length);
    for (let at = 0; at < bytes; at++) {
      if (chunk[at] !== PREFACE[this.#prefaceBytes++]) {
        throw new Http2Error(ErrorCode.protocolError, 'the client does not begin with the preface of HTTP/2');
      }
    }
    return bytes;
  }

  /** At the beginning of a frame, with nothing kept. */
  #readFrame(chunk: Buffer, at: number): number {
    if (chunk.length - at < FRAME_HEADER_BYTES) return this.#keep(chunk, at, FRAME_HEADER_BYTES);
    const length = this.#lengthAt(chunk, at);
    const start = at + FRAME_HEADER_BYTES;
    if (chunk[at + 3] === FrameType.data) {
      this.#enterData(chunk, at, length);
      return start;
    }
    if (chunk.length - start < length) return this.#keep(chunk, at, FRAME_HEADER_BYTES + length);
    this.#emit(chunk, at, start + length);
    return start + length;
  }

  #keep(chunk: Buffer, at: number, wantedBytes: number): number {
    this.#kept = Buffer.allocUnsafe(wantedBytes);
    this.#keptBytes = chunk.copy(this.#kept, 0, at);
    return chunk.length;
  }

  #readKept(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#kept.length - this.#keptBytes, chunk.length - at);
    chunk.copy(this.#kept, this.#keptBytes, at, at + taken);
    this.#keptBytes += taken;
    if (this.#keptBytes < this.#kept.length) return at + taken;
    const kept = this.#kept;
    if (kept.length > FRAME_HEADER_BYTES) this.#releaseKept(kept.length);
    else {
      const length = this.#lengthAt(kept, 0);
      if (kept[3] === FrameType.data) {
        this.#forget();
        this.#enterData(kept, 0, length);
      } else if (length === 0) this.#releaseKept(FRAME_HEADER_BYTES);
      else {
        this.#kept = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
        kept.copy(this.#kept);
      }
    }
    return at + taken;
  }

  #releaseKept(end: number): void {
    const kept = this.#kept;
    this.#forget();
    this.#emit(kept, 0, end);
  }

  #forget(): void {
    this.#kept = EMPTY;
    this.#keptBytes = 0;
  }

  #lengthAt(bytes: Buffer, at: number): number {
    const length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    if (length > this.#frameBytesMax) {
      throw new Http2Error(
        ErrorCode.frameSizeError,
        `a frame has ${length} bytes, the limit is ${this.#frameBytesMax}`,
      );
    }
    return length;
  }

  #emit(bytes: Buffer, at: number, end: number): void {
    this.#sink.onFrame(
      bytes[at + 3] ?? 0,
      bytes[at + 4] ?? 0,
      streamIdAt(bytes, at),
      bytes,
      at + FRAME_HEADER_BYTES,
      end,
    );
  }

  #enterData(bytes: Buffer, at: number, length: number): void {
    const flags = bytes[at + 4] ?? 0;
    this.#endStream = (flags & FrameFlag.endStream) !== 0;
    this.#padLengthNext = (flags & FrameFlag.padded) !== 0;
    if (this.#padLengthNext && length === 0) {
      throw new Http2Error(ErrorCode.frameSizeError, 'a padded frame lacks the length of its padding');
    }
    this.#padding = 0;
    this.#dataLeft = length;
    this.#sink.onDataStart(streamIdAt(bytes, at), length);
    if (length === 0) this.#leaveData();
  }

  #readData(chunk: Buffer, at: number): number {
    if (this.#padLengthNext) {
      this.#padLengthNext = false;
      this.#padding = chunk[at] ?? 0;
      this.#dataLeft--;
      if (this.#padding > this.#dataLeft) {
        throw new Http2Error(ErrorCode.protocolError, 'a frame is shorter than its padding');
      }
      if (this.#dataLeft === 0) this.#leaveData();
      return at + 1;
    }
    const payload = Math.min(this.#dataLeft - this.#padding, chunk.length - at);
    if (payload > 0) this.#sink.onDataBytes(chunk, at, at + payload);
    this.#dataLeft -= payload;
    const end = at + payload;
    const padding = this.#dataLeft === this.#padding ? Math.min(this.#padding, chunk.length - end) : 0;
    this.#padding -= padding;
    this.#dataLeft -= padding;
    if (this.#dataLeft === 0) this.#leaveData();
    return end + padding;
  }

  #leaveData(): void {
    this.#dataLeft = -1;
    this.#sink.onDataEnd(this.#endStream);
  }
}

function streamIdAt(bytes: Buffer, at: number): number {
  return (
    (((bytes[at + 5] ?? 0) & 0x7f) << 24) |
    ((bytes[at + 6] ?? 0) << 16) |
    ((bytes[at + 7] ?? 0) << 8) |
    (bytes[at + 8] ?? 0)
  );
}
