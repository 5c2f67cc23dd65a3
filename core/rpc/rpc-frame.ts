import assert from 'node:assert/strict';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { MessageCodec } from './rpc-service.ts';

/** Length of what stands before each gRPC message: one byte of flags and four of length. */
export const FRAME_HEADER_BYTES = 5;

const NO_HEADER = new Uint8Array(FRAME_HEADER_BYTES);
const KEPT_BYTES_MAX = 64 * 1024; // A writer that has held more is given up, or its memory would stay for ever.

/** Turns messages into uncompressed gRPC messages, with one writer for all of them. */
export class MessageFramer {
  #writer = new BinaryWriter();

  /** The message with its header; in several buffers where the codec gives a payload that need not be copied. */
  frame<T>(codec: MessageCodec<T>, message: T): readonly Uint8Array[] {
    const parts = codec.encodeParts?.(message);
    return parts === undefined ? [this.#frameWhole(codec, message)] : frameParts(parts);
  }

  #frameWhole<T>(codec: MessageCodec<T>, message: T): Uint8Array {
    let kept = false;
    try {
      const written = codec.encode(message, this.#writer.raw(NO_HEADER));
      assert(Object.is(written, this.#writer), 'a codec did not write to the writer it was given');
      const frame = written.finish();
      kept = frame.length <= KEPT_BYTES_MAX;
      setLength(frame, frame.length - FRAME_HEADER_BYTES);
      return frame;
    } finally {
      // An encoder that threw leaves half a message behind.
      if (!kept) this.#writer = new BinaryWriter();
    }
  }
}

function frameParts([
  first = NO_HEADER.subarray(0, 0),
  ...rest
]: readonly Uint8Array[]): readonly Uint8Array[] {
  const start = Buffer.allocUnsafe(FRAME_HEADER_BYTES + first.length);
  start[0] = 0;
  start.set(first, FRAME_HEADER_BYTES);
  setLength(
    start,
    rest.reduce((sum, part) => sum + part.length, first.length),
  );
  return [start, ...rest];
}

function setLength(frame: Uint8Array, length: number): void {
  new DataView(frame.buffer, frame.byteOffset).setUint32(1, length);
}
