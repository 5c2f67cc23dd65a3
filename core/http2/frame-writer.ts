import { FRAME_HEADER_BYTES, FrameFlag, FrameType } from './protocol.ts';

const BLOCK_BYTES = 16 * 1024; // Frames of some hundred and fifty small answers.
const ROOM_BYTES_MIN = 2 * 1024; // More than a turn's small answers on one connection.
const COPIED_BYTES_MAX = 2 * 1024; // A shorter payload is cheaper to copy than to send as a buffer of its own.
const SETTING_BYTES = 6;

/**
 * Frames on their way out. They are put one after the other into blocks of memory, large payloads between them as
 * they are, and are taken all at once. What has been taken is never written to again.
 */
export class FrameWriter {
  #block: Buffer = Buffer.alloc(0);
  /** Where the block's part begins that has not been taken. */
  #start = 0;
  #end = 0;
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  /** To be called when what was taken is with the system. */
  #listeners: (() => void)[] = [];

  /** Bytes waiting to be taken. */
  get bytes(): number {
    return this.#partBytes + this.#end - this.#start;
  }

  /** All frames since the last time, in pieces. */
  take(): readonly Uint8Array[] {
    this.#endPart();
    const parts = this.#parts;
    this.#parts = [];
    this.#partBytes = 0;
    // What is gathered next should lie in one piece, too: two cost the socket more than the rest of the block is worth.
    if (this.#block.length - this.#end < ROOM_BYTES_MIN) this.#reserve(BLOCK_BYTES);
    return parts;
  }

  /** Who is to be told when what `take` gave is with the system; undefined is nobody. To be called right after it. */
  takeListeners(): readonly (() => void)[] | undefined {
    if (this.#listeners.length === 0) return undefined;
    const listeners = this.#listeners;
    this.#listeners = [];
    return listeners;
  }

  /** A header block, in as many frames as it needs. */
  headers(streamId: number, block: Uint8Array, endStream: boolean, frameBytesMax: number): void {
    const endFlag = endStream ? FrameFlag.endStream : 0;
    if (block.length <= frameBytesMax) {
      this.#header(block.length, FrameType.headers, endFlag | FrameFlag.endHeaders, streamId);
      this.#copy(block, 0, block.length);
      return;
    }
    for (let at = 0; at < block.length; at += frameBytesMax) {
      const end = Math.min(block.length, at + frameBytesMax);
      const flags = (at === 0 ? endFlag : 0) | (end === block.length ? FrameFlag.endHeaders : 0);
      this.#header(end - at, at === 0 ? FrameType.headers : FrameType.continuation, flags, streamId);
      this.#copy(block, at, end);
    }
  }

  /** One DATA frame; the payload must not change before `onSent`, if ever. */
  data(streamId: number, payload: Uint8Array, start: number, end: number, onSent?: () => void): void {
    this.#header(end - start, FrameType.data, 0, streamId);
    if (onSent !== undefined) this.#listeners.push(onSent);
    if (end - start <= COPIED_BYTES_MAX) this.#copy(payload, start, end);
    else {
      this.#endPart();
      this.#parts.push(payload.subarray(start, end));
      this.#partBytes += end - start;
    }
  }

  /** An empty DATA frame that ends the stream. */
  endStream(streamId: number): void {
    this.#header(0, FrameType.data, FrameFlag.endStream, streamId);
  }

  reset(streamId: number, code: number): void {
    this.#header(4, FrameType.reset, 0, streamId);
    this.#uint32(code);
  }

  windowUpdate(streamId: number, bytes: number): void {
    this.#header(4, FrameType.windowUpdate, 0, streamId);
    this.#uint32(bytes);
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    this.#header(settings.length * SETTING_BYTES, FrameType.settings, 0, 0);
    for (const [id, value] of settings) {
      this.#reserve(SETTING_BYTES);
      this.#end = this.#block.writeUInt16BE(id, this.#end);
      this.#uint32(value);
    }
  }

  settingsAck(): void {
    this.#header(0, FrameType.settings, FrameFlag.ack, 0);
  }

  /** Eight bytes of payload, our own or those that a ping brought. */
  ping(payload: Uint8Array, start: number, end: number, ack: boolean): void {
    this.#header(end - start, FrameType.ping, ack ? FrameFlag.ack : 0, 0);
    this.#copy(payload, start, end);
  }

  goAway(lastStreamId: number, code: number, reason: string): void {
    const text = Buffer.from(reason);
    this.#header(8 + text.length, FrameType.goAway, 0, 0);
    this.#uint32(lastStreamId);
    this.#uint32(code);
    this.#copy(text, 0, text.length);
  }

  #header(length: number, type: number, flags: number, streamId: number): void {
    this.#reserve(FRAME_HEADER_BYTES);
    const block = this.#block;
    const at = this.#end;
    block[at] = length >>> 16;
    block[at + 1] = length >>> 8;
    block[at + 2] = length;
    block[at + 3] = type;
    block[at + 4] = flags;
    block[at + 5] = streamId >>> 24;
    block[at + 6] = streamId >>> 16;
    block[at + 7] = streamId >>> 8;
    block[at + 8] = streamId;
    this.#end = at + FRAME_HEADER_BYTES;
  }

  #uint32(value: number): void {
    this.#reserve(4);
    this.#end = this.#block.writeUInt32BE(value, this.#end);
  }

  #copy(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.#reserve(length);
    this.#block.set(length === bytes.length ? bytes : bytes.subarray(start, end), this.#end);
    this.#end += length;
  }

  #reserve(bytes: number): void {
    if (this.#block.length - this.#end >= bytes) return;
    this.#endPart();
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytes));
    this.#start = 0;
    this.#end = 0;
  }

  #endPart(): void {
    if (this.#end === this.#start) return;
    this.#parts.push(this.#block.subarray(this.#start, this.#end));
    this.#partBytes += this.#end - this.#start;
    this.#start = this.#end;
  }
}
