import { WholeBytes } from '../../core/streams.ts';
import { BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, BLOCK_TYPE, FRAME_MAGIC } from './zstd-format.ts';
import { DESCRIPTOR_BYTES } from './zstd-frame-header.ts';

/** The content's size in eight bytes; a window follows; no dictionary, no checksum. */
const DESCRIPTOR = 0b1100_0000;
/** A window of 2^17, one block: the smallest that lets blocks have their full size. */
const WINDOW = (17 - 10) << 3;
const HEADER_BYTES = DESCRIPTOR_BYTES + 1 + 8;

/**
 * The bytes as a zstd frame that is not compressed: a header, and 3 bytes before each piece of at most 128 KiB. For
 * those who ask for zstd where compressing does not pay. `source` has exactly `sizeBytes`, or the frame does not end.
 */
export function rawZstdFrame(
  source: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): AsyncIterable<Uint8Array> {
  if (!(source instanceof WholeBytes)) return inBlocks(source, sizeBytes);
  const { bytes } = source;
  if (bytes.byteLength > BLOCK_BYTES_MAX) return inBlocks(source, sizeBytes);
  return new WholeBytes(Buffer.concat([header(sizeBytes), blockHeader(sizeBytes, true), bytes]));
}

async function* inBlocks(
  source: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let prefix = header(sizeBytes);
  let left = sizeBytes;
  for await (const chunk of source) {
    for (let start = 0; start < chunk.byteLength; start += BLOCK_BYTES_MAX) {
      const piece = chunk.subarray(start, start + BLOCK_BYTES_MAX);
      left -= piece.byteLength;
      yield Buffer.concat([prefix, blockHeader(piece.byteLength, left === 0), piece]);
      prefix = NOTHING;
    }
  }
  if (sizeBytes === 0) yield Buffer.concat([prefix, blockHeader(0, true)]);
}

const NOTHING = Buffer.alloc(0);

function header(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt32LE(FRAME_MAGIC, 0);
  bytes.writeUInt8(DESCRIPTOR, DESCRIPTOR_BYTES - 1);
  bytes.writeUInt8(WINDOW, DESCRIPTOR_BYTES);
  bytes.writeBigUInt64LE(BigInt(sizeBytes), DESCRIPTOR_BYTES + 1);
  return bytes;
}

function blockHeader(sizeBytes: number, isLast: boolean): Buffer {
  const bytes = Buffer.alloc(BLOCK_HEADER_BYTES);
  bytes.writeUIntLE((sizeBytes << 3) | (BLOCK_TYPE.raw << 1) | (isLast ? 1 : 0), 0, BLOCK_HEADER_BYTES);
  return bytes;
}
