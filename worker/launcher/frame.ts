import { invalidArgument } from '../../core/error.ts';

/** Bytes of the length in front of each message. */
const LENGTH_BYTES = 4;
/** Largest message; the agent and the launcher send lists in parts far below it. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** A message with its length in front. */
export function encodeFrame(message: Uint8Array): Buffer<ArrayBuffer> {
  checkLength(message.byteLength);
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + message.byteLength);
  frame.writeUInt32BE(message.byteLength, 0);
  frame.set(message, LENGTH_BYTES);
  return frame;
}

/** The messages in a stream of bytes; INVALID_ARGUMENT for one over the limit, or a stream that ends within one. */
export async function* readFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  let wanted = LENGTH_BYTES;
  let inMessage = false;
  for await (const chunk of source) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    while (bytes >= wanted) {
      const whole = chunks.length === 1 && chunks[0] ? Buffer.from(chunks[0]) : Buffer.concat(chunks, bytes);
      const part = whole.subarray(0, wanted);
      chunks = [whole.subarray(wanted)];
      bytes -= wanted;
      if (inMessage) {
        yield part;
        wanted = LENGTH_BYTES;
      } else {
        wanted = part.readUInt32BE(0);
        checkLength(wanted);
      }
      inMessage = !inMessage;
    }
  }
  if (bytes > 0 || inMessage) throw invalidArgument(`launcher: the stream ends ${bytes} bytes into a frame`);
}

function checkLength(bytes: number): void {
  if (bytes <= FRAME_BYTES_MAX) return;
  throw invalidArgument(`launcher: a frame of ${bytes} bytes, at most ${FRAME_BYTES_MAX} are accepted`);
}
