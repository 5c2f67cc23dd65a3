import { internal, resourceExhausted } from '../error.ts';
import { messageMemory } from '../message-memory.ts';
import { FRAME_HEADER_BYTES } from './rpc-frame.ts';

/** One message as it came off the wire. */
export interface RawMessage {
  readonly compressed: boolean;
  readonly bytes: Uint8Array;
}

const MESSAGE_AT_ONCE_BYTES = 128 * 1024; // A buffer up to this size is made whole; a larger one grows as bytes come.
const EMPTY = new Uint8Array(0);

/**
 * Cuts the bytes of an HTTP/2 stream into gRPC messages, wherever the DATA frames were cut. A message over the
 * limit is refused by its header, before any of it is kept. The chunks are only lent: what is kept is a copy, in memory
 * of {@link messageMemory}.
 */
export class Deframer {
  readonly #messageBytesMax: number;
  /** A header that was cut; most are not. */
  #header = EMPTY;
  #headerLength = 0;
  /** The message under way; its buffer may be smaller than what it will be. */
  #inBody = false;
  #compressed = false;
  #body: Uint8Array = EMPTY;
  #bodyLength = 0;
  #bodyBytes = 0;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** Bytes seen of a message that is not whole yet. Not zero at the end of the stream: it was cut short. */
  get partialBytes(): number {
    return this.#headerLength + (this.#inBody ? FRAME_HEADER_BYTES + this.#bodyLength : 0);
  }

  /** Takes part of a chunk and gives the messages that it completes. Throws RESOURCE_EXHAUSTED or INTERNAL. */
  push(chunk: Uint8Array, start = 0, end = chunk.length): RawMessage[] {
    const messages: RawMessage[] = [];
    let offset = start;
    while (offset < end) {
      if (!this.#inBody) {
        offset = this.#takeHeader(chunk, offset, end);
        if (!this.#inBody) break;
      }
      offset = this.#takeBody(chunk, offset, end);
      if (this.#bodyLength === this.#bodyBytes) messages.push(this.#finish());
    }
    return messages;
  }

  #finish(): RawMessage {
    const bytes = this.#body;
    this.#inBody = false;
    this.#body = EMPTY;
    this.#bodyLength = 0;
    return { compressed: this.#compressed, bytes };
  }

  #takeHeader(chunk: Uint8Array, offset: number, end: number): number {
    if (this.#headerLength === 0 && end - offset >= FRAME_HEADER_BYTES) {
      this.#enterBody(chunk, offset);
      return offset + FRAME_HEADER_BYTES;
    }
    if (this.#headerLength === 0) this.#header = new Uint8Array(FRAME_HEADER_BYTES);
    const taken = Math.min(FRAME_HEADER_BYTES - this.#headerLength, end - offset);
    this.#header.set(chunk.subarray(offset, offset + taken), this.#headerLength);
    this.#headerLength += taken;
    if (this.#headerLength === FRAME_HEADER_BYTES) {
      this.#headerLength = 0;
      this.#enterBody(this.#header, 0);
    }
    return offset + taken;
  }

  #enterBody(bytes: Uint8Array, offset: number): void {
    const flags = byteAt(bytes, offset);
    if (flags > 1) {
      throw internal(`Read a gRPC message: its flags are ${flags}, expected 0 or 1 (compressed)`);
    }
    const bodyBytes =
      byteAt(bytes, offset + 1) * 0x1000000 +
      ((byteAt(bytes, offset + 2) << 16) | (byteAt(bytes, offset + 3) << 8) | byteAt(bytes, offset + 4));
    if (bodyBytes > this.#messageBytesMax) {
      throw resourceExhausted(
        `Read a gRPC message: it has ${bodyBytes} bytes, the limit is ${this.#messageBytesMax}`,
      );
    }
    this.#inBody = true;
    this.#compressed = flags === 1;
    this.#bodyBytes = bodyBytes;
  }

  #takeBody(chunk: Uint8Array, offset: number, end: number): number {
    const taken = Math.min(this.#bodyBytes - this.#bodyLength, end - offset);
    this.#makeRoom(this.#bodyLength + taken);
    if (taken > 0) this.#body.set(chunk.subarray(offset, offset + taken), this.#bodyLength);
    this.#bodyLength += taken;
    return offset + taken;
  }

  /** A client's word on the length is not worth its whole memory yet, so a large buffer doubles up to it. */
  #makeRoom(length: number): void {
    if (this.#body.length >= length) return;
    const doubled = Math.max(length, this.#body.length * 2, MESSAGE_AT_ONCE_BYTES);
    const grown = messageMemory.take(Math.min(doubled, this.#bodyBytes));
    if (this.#bodyLength > 0) {
      grown.set(this.#body.subarray(0, this.#bodyLength));
      messageMemory.giveBack(this.#body);
    }
    this.#body = grown;
  }
}

function byteAt(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0;
}
