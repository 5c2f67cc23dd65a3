import assert from 'node:assert/strict';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { messageMemory, REUSED_BYTES_MIN } from '../message-memory.ts';
import type { MessageCodec, TakeMemory } from './rpc-service.ts';

/** Length of what stands before each gRPC message: one byte of flags and four of length. */
export const FRAME_HEADER_BYTES = 5;

const NO_HEADER = new Uint8Array(FRAME_HEADER_BYTES);
const KEPT_BYTES_MAX = 64 * 1024; // A writer that has held more is given up, or its memory would stay for ever.

/** A message with its header; in several buffers where the codec gives a payload that need not be copied. */
export interface Frame {
  readonly parts: readonly Uint8Array[];
  /** Of all parts. */
  readonly sizeBytes: number;
  /** The message memory among them that is the frame's own, to be given back once all are sent. */
  readonly lent: readonly Uint8Array[] | undefined;
}

/** Turns messages into uncompressed gRPC messages, with one writer for all of them. */
export class MessageFramer {
  #writer = new BinaryWriter();
  #lent: Uint8Array[] | undefined;
  readonly #take: TakeMemory = (bytes) => {
    const memory = messageMemory.take(bytes);
    if (bytes < REUSED_BYTES_MIN) return memory;
    this.#lent ??= [];
    this.#lent.push(memory);
    return memory;
  };

  frame<T>(codec: MessageCodec<T>, message: T): Frame {
    this.#lent = undefined;
    const parts = codec.encodeParts?.(message, this.#take);
    if (parts !== undefined) return frameParts(parts, this.#lent);
    const whole = this.#frameWhole(codec, message);
    return { parts: [whole], sizeBytes: whole.length, lent: undefined };
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

/** What is to be done once the frame is sent. */
export function whenSent({ lent }: Frame, onSent: (() => void) | undefined): (() => void) | undefined {
  if (lent === undefined) return onSent;
  return () => {
    for (const memory of lent) messageMemory.giveBack(memory);
    onSent?.();
  };
}

function frameParts(
  [first = NO_HEADER.subarray(0, 0), ...rest]: readonly Uint8Array[],
  lent: Frame['lent'],
): Frame {
  const start = Buffer.allocUnsafe(FRAME_HEADER_BYTES + first.length);
  const length = rest.reduce((sum, part) => sum + part.length, first.length);
  start[0] = 0;
  start.set(first, FRAME_HEADER_BYTES);
  setLength(start, length);
  return { parts: [start, ...rest], sizeBytes: FRAME_HEADER_BYTES + length, lent };
}

function setLength(frame: Uint8Array, length: number): void {
  new DataView(frame.buffer, frame.byteOffset).setUint32(1, length);
}
