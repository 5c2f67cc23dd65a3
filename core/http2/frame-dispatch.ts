import type { ConnectionOutput } from './connection-output.ts';
import type { FrameSink } from './frame-reader.ts';
import { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { Http2Error } from './http2-error.ts';
import type { Http2Limits } from './http2-limits.ts';
import type { Http2Stream } from './http2-stream.ts';
import type { PeerSettings } from './peer-settings.ts';
import { ErrorCode, FrameFlag, FrameType, WINDOW_BYTES_MAX } from './protocol.ts';
import { RequestHeaders, trailersFault } from './request-headers.ts';
import type { RequestStreams } from './request-streams.ts';

/** What a {@link FrameDispatch} is made of. */
export interface FrameDispatchDependencies {
  readonly limits: Http2Limits;
  readonly settings: PeerSettings;
  readonly output: ConnectionOutput;
  readonly streams: RequestStreams;
}

const PRIORITY_BYTES = 5;
const BLOCK_BYTES_PER_HEADER_BYTE = 2; // A block is shorter than its fields; one that only wastes bytes is not read.

function protocolError(message: string): Http2Error {
  return new Http2Error(ErrorCode.protocolError, message);
}

/** Does what the frames of one client say. What breaks HTTP/2 ends the stream, or throws and so ends the connection. */
export class FrameDispatch implements FrameSink {
  readonly #limits: Http2Limits;
  readonly #settings: PeerSettings;
  readonly #output: ConnectionOutput;
  readonly #streams: RequestStreams;
  readonly #decoder: HpackDecoder;
  #greeted = false;
  #block: HeaderBlock | undefined;
  /** What the client may still send on the connection. */
  #window: number;
  /** The stream of the DATA frame under way; undefined when its payload is dropped. */
  #dataStream: Http2Stream | undefined;
  #dataBytes = 0;
  /** What is still to come of that frame. */
  #dueBytes = 0;

  constructor({ limits, settings, output, streams }: FrameDispatchDependencies) {
    this.#limits = limits;
    this.#settings = settings;
    this.#output = output;
    this.#streams = streams;
    this.#decoder = new HpackDecoder({ listBytesMax: limits.headerBytesMax });
    this.#window = limits.connectionWindowBytes;
  }

  /** The client's first SETTINGS have come. */
  get greeted(): boolean {
    return this.#greeted;
  }

  onFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    this.#expectOrder(type, id);
    switch (type) {
      case FrameType.headers:
        this.#onHeaders(flags, id, bytes, start, end);
        return;
      case FrameType.continuation:
        this.#onContinuation(flags, bytes, start, end);
        return;
      case FrameType.windowUpdate:
        this.#onWindowUpdate(id, bytes, start, end);
        return;
      case FrameType.reset:
        this.#onReset(id, bytes, start, end);
        return;
      case FrameType.settings:
        this.#onSettings(flags, id, bytes, start, end);
        return;
      case FrameType.ping:
        this.#onPing(flags, id, bytes, start, end);
        return;
      case FrameType.priority:
        this.#onPriority(id, bytes, start, end);
        return;
      case FrameType.goAway:
        if (id !== 0) throw protocolError('a GOAWAY has a stream');
        return;
      case FrameType.pushPromise:
        throw protocolError('a client sends PUSH_PROMISE');
      default:
        // Other types are extensions, to be ignored.
        this.#streams.guard.countIdleFrame();
    }
  }

  onDataStart(id: number, bytes: number): void {
    this.#expectOrder(FrameType.data, id);
    if (bytes > this.#window) {
      throw new Http2Error(
        ErrorCode.flowControlError,
        'the client sends more than the window of the connection',
      );
    }
    this.#window -= bytes;
    this.#dataBytes = bytes;
    this.#dueBytes = bytes;
    const stream = this.#streams.get(id);
    this.#dataStream = stream;
    if (stream === undefined || stream.requestEnded) this.#onStrayData(id, stream);
    else if (bytes > stream.receiveWindow) {
      this.#dataStream = undefined;
      this.#streams.fault(id, ErrorCode.flowControlError);
    }
  }

  onDataBytes(bytes: Buffer, start: number, end: number): void {
    const stream = this.#dataStream;
    if (stream === undefined) return;
    stream.requestBytes += end - start;
    stream.receiveWindow -= end - start;
    this.#dueBytes -= end - start;
    stream.listener?.onData(bytes, start, end);
  }

  onDataEnd(endStream: boolean): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    this.#refill();
    if (stream === undefined) return;
    // What was padding.
    stream.receiveWindow -= this.#dueBytes;
    if (endStream) {
      // It may have been answered, and reset, by what came before.
      if (this.#streams.get(stream.id) === stream) this.#streams.endRequest(stream);
    } else if (this.#dataBytes === 0) this.#streams.guard.countIdleFrame();
    else stream.refill();
  }

  #expectOrder(type: number, id: number): void {
    if (this.#block !== undefined) {
      if (type !== FrameType.continuation || id !== this.#block.streamId) {
        throw protocolError('a header block is interrupted by another frame');
      }
    } else if (type === FrameType.continuation) throw protocolError('a CONTINUATION continues nothing');
    if (!this.#greeted && type !== FrameType.settings) throw protocolError('the first frame is not SETTINGS');
  }

  #onStrayData(id: number, stream: Http2Stream | undefined): void {
    this.#dataStream = undefined;
    if (id === 0) throw protocolError('DATA has no stream');
    if (this.#streams.isIdle(id)) throw protocolError('DATA is for a stream that was not opened');
    this.#streams.guard.countIdleFrame();
    if (stream !== undefined || !this.#streams.wasReset(id)) this.#streams.fault(id, ErrorCode.streamClosed);
  }

  /** What came in is read at once, or held by the window of its stream; so the connection's is always opened again. */
  #refill(): void {
    const full = this.#limits.connectionWindowBytes;
    if (this.#window > full / 2) return;
    this.#output.windowUpdate(0, full - this.#window);
    this.#window = full;
  }

  #onHeaders(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) throw protocolError('HEADERS have no stream');
    let from = start;
    let to = end;
    if ((flags & FrameFlag.padded) !== 0) {
      to -= bytes[from] ?? 0;
      from++;
    }
    if ((flags & FrameFlag.priority) !== 0) {
      if (to - from >= PRIORITY_BYTES && dependsOn(bytes, from) === id) {
        throw protocolError('a stream depends on itself');
      }
      from += PRIORITY_BYTES;
    }
    if (from > to) throw protocolError('HEADERS are shorter than what they say is in them');
    const endStream = (flags & FrameFlag.endStream) !== 0;
    if ((flags & FrameFlag.endHeaders) !== 0) this.#onHeaderBlock(id, endStream, bytes, from, to);
    else {
      const bytesMax = this.#limits.headerBytesMax * BLOCK_BYTES_PER_HEADER_BYTE;
      this.#block = new HeaderBlock(id, endStream, bytesMax);
      this.#block.add(bytes, from, to);
    }
  }

  #onContinuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const block = this.#block;
    if (block === undefined) return;
    block.add(bytes, start, end);
    if ((flags & FrameFlag.endHeaders) === 0) return;
    this.#block = undefined;
    const whole = block.whole();
    this.#onHeaderBlock(block.streamId, block.endStream, whole, 0, whole.length);
  }

  #onHeaderBlock(id: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const { fields, overLimit } = this.#decoder.decode(bytes, start, end);
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      if (this.#streams.wasReset(id)) return;
      this.#streams.open(id, new RequestHeaders(fields), { endStream, overLimit });
    } else if (stream.requestEnded) this.#streams.fault(id, ErrorCode.streamClosed);
    else if (!endStream || overLimit || trailersFault(fields) !== undefined) {
      this.#streams.fault(id, ErrorCode.protocolError);
    } else this.#streams.endRequest(stream);
  }

  #onWindowUpdate(id: number, bytes: Buffer, start: number, end: number): void {
    const more = uint32Alone(bytes, start, end, 'WINDOW_UPDATE') & WINDOW_BYTES_MAX;
    if (id === 0) {
      if (more === 0) throw protocolError('a WINDOW_UPDATE of the connection opens nothing');
      this.#output.grow(more);
      return;
    }
    if (this.#streams.isIdle(id)) throw protocolError('WINDOW_UPDATE is for a stream that was not opened');
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (more === 0) this.#streams.fault(id, ErrorCode.protocolError);
    else if (stream.sendWindow + more > WINDOW_BYTES_MAX) this.#streams.fault(id, ErrorCode.flowControlError);
    else {
      stream.sendWindow += more;
      this.#output.resume(stream);
    }
  }

  #onReset(id: number, bytes: Buffer, start: number, end: number): void {
    const code = uint32Alone(bytes, start, end, 'RST_STREAM');
    if (id === 0 || this.#streams.isIdle(id)) throw protocolError('RST_STREAM is for no stream');
    this.#streams.leave(id, code);
  }

  #onSettings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw protocolError('SETTINGS have a stream');
    if ((flags & FrameFlag.ack) !== 0) {
      if (end > start)
        throw new Http2Error(ErrorCode.frameSizeError, 'an acknowledgement of SETTINGS has settings');
      return;
    }
    this.#streams.guard.countSettings();
    this.#greeted = true;
    const before = this.#settings.initialWindowBytes;
    this.#settings.apply(bytes, start, end);
    this.#output.control((frames) => frames.settingsAck());
    this.#streams.onInitialWindow(this.#settings.initialWindowBytes - before);
  }

  #onPing(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw protocolError('a PING has a stream');
    if (end - start !== 8) throw new Http2Error(ErrorCode.frameSizeError, 'a PING has not 8 bytes');
    if ((flags & FrameFlag.ack) !== 0) return;
    this.#streams.guard.countIdleFrame();
    this.#output.control((frames) => frames.ping(bytes, start, end, true));
  }

  #onPriority(id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) throw protocolError('PRIORITY has no stream');
    this.#streams.guard.countIdleFrame();
    if (end - start !== PRIORITY_BYTES)
      throw new Http2Error(ErrorCode.frameSizeError, 'PRIORITY has not 5 bytes');
    if (dependsOn(bytes, start) === id) throw protocolError('a stream depends on itself');
  }
}

function dependsOn(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) & WINDOW_BYTES_MAX;
}

function uint32Alone(bytes: Buffer, start: number, end: number, frame: string): number {
  if (end - start !== 4) throw new Http2Error(ErrorCode.frameSizeError, `a ${frame} has not 4 bytes`);
  return bytes.readUInt32BE(start);
}
