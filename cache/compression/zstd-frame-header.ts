/** Bytes of the magic number and the descriptor, which say how long the header is. */
export const DESCRIPTOR_BYTES = 5;
/** The longest header: magic number, descriptor, window, dictionary id and size of the content. */
export const HEADER_BYTES_MAX = 18;

/** Bytes of a dictionary's id, by the lowest two bits of the descriptor. */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
/** Bytes of the content's size, by the highest two bits of the descriptor; 1 for 0 in a frame of a single segment. */
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
/** A size of two bytes counts from here. */
const TWO_BYTE_SIZE_BASE = 256;

/** What the header of a zstd frame says (RFC 8878, 3.1.1.1). */
export interface ZstdFrameHeader {
  /** What a decoder must remember of its output. */
  readonly windowBytes: number;
  /** How much the frame holds; undefined when it does not say. Above 2^53 it is not exact. */
  readonly contentBytes: number | undefined;
  /** 0 means none. */
  readonly dictionaryId: number;
  readonly hasChecksum: boolean;
  readonly isReserved: boolean;
}

/** The length of a header, from its first {@link DESCRIPTOR_BYTES}. */
export function headerBytesOf(bytes: Buffer): number {
  const { hasWindow, dictionaryIdBytes, contentSizeBytes } = layoutOf(bytes);
  return DESCRIPTOR_BYTES + (hasWindow ? 1 : 0) + dictionaryIdBytes + contentSizeBytes;
}

/** Reads a whole header. */
export function parseZstdFrameHeader(bytes: Buffer): ZstdFrameHeader {
  const { descriptor, hasWindow, dictionaryIdBytes, contentSizeBytes } = layoutOf(bytes);
  const dictionaryAt = DESCRIPTOR_BYTES + (hasWindow ? 1 : 0);
  const contentBytes = contentSize(bytes, dictionaryAt + dictionaryIdBytes, contentSizeBytes);
  return {
    windowBytes: hasWindow ? windowSize(bytes.readUInt8(DESCRIPTOR_BYTES)) : (contentBytes ?? 0),
    contentBytes,
    dictionaryId: dictionaryIdBytes === 0 ? 0 : bytes.readUIntLE(dictionaryAt, dictionaryIdBytes),
    hasChecksum: (descriptor & 0b100) !== 0,
    isReserved: (descriptor & 0b1000) !== 0,
  };
}

function layoutOf(bytes: Buffer) {
  const descriptor = bytes.readUInt8(DESCRIPTOR_BYTES - 1);
  const isSingleSegment = (descriptor & 0b10_0000) !== 0;
  return {
    descriptor,
    hasWindow: !isSingleSegment,
    dictionaryIdBytes: DICTIONARY_ID_BYTES[(descriptor & 0b11) as 0 | 1 | 2 | 3],
    contentSizeBytes: CONTENT_SIZE_BYTES[(descriptor >> 6) as 0 | 1 | 2 | 3] || (isSingleSegment ? 1 : 0),
  };
}

function windowSize(byte: number): number {
  const base = 2 ** (10 + (byte >> 3));
  return base + (base / 8) * (byte & 0b111);
}

function contentSize(bytes: Buffer, at: number, sizeBytes: number): number | undefined {
  if (sizeBytes === 0) return undefined;
  if (sizeBytes === 8) return Number(bytes.readBigUInt64LE(at));
  return bytes.readUIntLE(at, sizeBytes) + (sizeBytes === 2 ? TWO_BYTE_SIZE_BASE : 0);
}
