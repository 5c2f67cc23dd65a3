import type { MessageCodec } from './rpc-service.ts';

/** Length of what stands before each gRPC message: one byte of flags and four of length. */
export const FRAME_HEADER_BYTES = 5;

const COPIED_BYTES_MAX = 16 * 1024; // Below it one more write costs more than one more copy.

/**
 * An uncompressed gRPC message as it goes on the wire, in as few buffers as is cheap: a small message is one with its
 * header, a large one is not copied.
 */
export function frameMessage<T>(codec: MessageCodec<T>, message: T): Uint8Array[] {
  const [first, ...rest] = codec.encodeParts?.(message) ?? [codec.encode(message).finish()];
  if (first === undefined) return [frameHeader(0)];
  if (first.length > COPIED_BYTES_MAX) return [frameHeader(first.length), first, ...rest];
  const length = rest.reduce((sum, part) => sum + part.length, first.length);
  const start = frameHeader(length, first.length);
  start.set(first, FRAME_HEADER_BYTES);
  return [start, ...rest];
}

function frameHeader(length: number, roomAfter = 0): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + roomAfter);
  frame[0] = 0;
  frame.writeUInt32BE(length, 1);
  return frame;
}
