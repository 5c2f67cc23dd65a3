import { invalidArgument } from '../../core/error.ts';
import { FRAME_MAGIC } from './zstd-format.ts';
import { DESCRIPTOR_BYTES, headerBytesOf, parseZstdFrameHeader } from './zstd-frame-header.ts';

/** A frame, and how much it says that it holds. */
export interface PeekedFrame {
  readonly contentBytes: number;
  /** All of it. */
  readonly source: AsyncIterable<Uint8Array>;
}

/** Reads the size of a frame's content off its header, for clients that say no other; INVALID_ARGUMENT when it is not there. */
export async function peekContentBytes(
  source: AsyncIterable<Uint8Array>,
  attempt: string,
): Promise<PeekedFrame> {
  const iterator = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  let contentBytes: number | undefined;
  for (;;) {
    if (head.byteLength >= DESCRIPTOR_BYTES && head.readUInt32LE(0) !== FRAME_MAGIC) break;
    if (head.byteLength >= DESCRIPTOR_BYTES && head.byteLength >= headerBytesOf(head)) {
      ({ contentBytes } = parseZstdFrameHeader(head));
      break;
    }
    const next = await iterator.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  if (contentBytes === undefined) {
    await iterator.return?.();
    throw invalidArgument(
      `${attempt}: the bytes that arrived are not a zstd frame that says how much it holds`,
    );
  }
  return { contentBytes, source: joined(head, iterator) };
}

async function* joined(
  head: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield head;
  yield* { [Symbol.asyncIterator]: () => rest };
}
