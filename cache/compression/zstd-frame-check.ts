import { type IngotError, invalidArgument } from '../../core/error.ts';
import {
  BLOCK_BYTES_MAX,
  BLOCK_HEADER_BYTES,
  BLOCK_TYPE,
  FRAME_MAGIC,
  frameBytesMax,
  SKIPPABLE_FRAME_MAGIC,
  WINDOW_LOG_MAX,
} from './zstd-format.ts';
import {
  DESCRIPTOR_BYTES,
  HEADER_BYTES_MAX,
  headerBytesOf,
  parseZstdFrameHeader,
  type ZstdFrameHeader,
} from './zstd-frame-header.ts';

const CHECKSUM_BYTES = 4;

/** Whose frame it is. */
export interface ZstdFrameOwner {
  /** For messages, such as `Write 0123…/77`. */
  readonly attempt: string;
  /** Of the uncompressed blob. */
  readonly sizeBytes: number;
}

/** What comes next in the frame. */
type Part = 'descriptor' | 'header' | 'block header' | 'block' | 'checksum' | 'end';

/**
 * Follows the outside of a zstd stream before a decoder sees it. INVALID_ARGUMENT unless it is exactly one frame, whole,
 * of at most {@link frameBytesMax}, with a window up to {@link WINDOW_LOG_MAX}, and without dictionary. A decoder
 * cannot say: it takes two frames for one stream, and drops what follows the last.
 */
export class ZstdFrameCheck {
  readonly #owner: ZstdFrameOwner;
  /** The bytes of the part being read, unless it is a block. */
  readonly #bytes = Buffer.alloc(HEADER_BYTES_MAX);
  #part: Part = 'descriptor';
  #filled = 0;
  #wanted = DESCRIPTOR_BYTES;
  #header: ZstdFrameHeader | undefined;
  #isLastBlock = false;
  #seenBytes = 0;

  constructor(owner: ZstdFrameOwner) {
    this.#owner = owner;
  }

  /** The frame's header, once it has been read. */
  get header(): ZstdFrameHeader | undefined {
    return this.#header;
  }

  /** Compressed bytes seen. */
  get seenBytes(): number {
    return this.#seenBytes;
  }

  /** Looks at the next bytes; throws when one of them may not be there. */
  push(chunk: Uint8Array): void {
    this.#seenBytes += chunk.byteLength;
    const bytesMax = frameBytesMax(this.#owner.sizeBytes);
    if (this.#seenBytes > bytesMax) {
      throw this.#refused(`it has more than ${bytesMax} bytes, for a blob of ${this.#owner.sizeBytes}`);
    }
    for (let at = 0; at < chunk.byteLength; ) {
      if (this.#isOver()) throw this.#refused('something follows its end');
      const piece = chunk.subarray(at, at + this.#wanted - this.#filled);
      if (this.#part !== 'block') this.#bytes.set(piece, this.#filled);
      this.#filled += piece.byteLength;
      at += piece.byteLength;
      // An empty block ends with its header.
      while (!this.#isOver() && this.#filled === this.#wanted) this.#finishPart();
    }
  }

  /** Says that no more comes; throws when the frame is not whole. */
  end(): void {
    if (!this.#isOver()) throw this.#refused(`it is cut off after ${this.#seenBytes} bytes`);
  }

  #isOver(): boolean {
    return this.#part === 'end';
  }

  #finishPart(): void {
    if (this.#part === 'descriptor') this.#checkDescriptor();
    else if (this.#part === 'header') this.#checkHeader();
    else if (this.#part === 'block header') this.#checkBlockHeader();
    else if (this.#part === 'checksum') this.#enter('end', 0);
    else if (!this.#isLastBlock) this.#enter('block header', BLOCK_HEADER_BYTES);
    else if (this.#header?.hasChecksum) this.#enter('checksum', CHECKSUM_BYTES);
    else this.#enter('end', 0);
  }

  #checkDescriptor(): void {
    const magic = this.#bytes.readUInt32LE(0);
    if (magic >>> 4 === SKIPPABLE_FRAME_MAGIC >>> 4) throw this.#refused('it begins with a skippable frame');
    if (magic !== FRAME_MAGIC) throw this.#refused('it does not begin like one');
    this.#part = 'header';
    this.#wanted = headerBytesOf(this.#bytes);
  }

  #checkHeader(): void {
    const header = parseZstdFrameHeader(this.#bytes);
    const { sizeBytes } = this.#owner;
    if (header.isReserved) throw this.#refused('its header has the reserved bit set');
    if (header.dictionaryId !== 0) throw this.#refused(`it needs the dictionary ${header.dictionaryId}`);
    if (header.contentBytes !== undefined && header.contentBytes !== sizeBytes) {
      throw this.#refused(`it says that it holds ${header.contentBytes} bytes, expected ${sizeBytes}`);
    }
    if (header.windowBytes > 2 ** WINDOW_LOG_MAX) {
      throw this.#refused(
        `its window has ${header.windowBytes} bytes, at most ${2 ** WINDOW_LOG_MAX} are accepted`,
      );
    }
    this.#header = header;
    this.#enter('block header', BLOCK_HEADER_BYTES);
  }

  #checkBlockHeader(): void {
    const bits = this.#bytes.readUIntLE(0, BLOCK_HEADER_BYTES);
    const type = (bits >> 1) & 0b11;
    const sizeBytes = bits >> 3;
    if (type > BLOCK_TYPE.compressed) throw this.#refused('it has a block of the reserved type');
    if (sizeBytes > BLOCK_BYTES_MAX) throw this.#refused(`it has a block of ${sizeBytes} bytes`);
    this.#isLastBlock = (bits & 1) !== 0;
    this.#enter('block', type === BLOCK_TYPE.rle ? 1 : sizeBytes);
  }

  #enter(part: Part, wanted: number): void {
    this.#part = part;
    this.#wanted = wanted;
    this.#filled = 0;
  }

  #refused(why: string): IngotError {
    return invalidArgument(`${this.#owner.attempt}: the bytes that arrived are not one zstd frame: ${why}`);
  }
}
