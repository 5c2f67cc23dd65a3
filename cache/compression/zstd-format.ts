/** Begins a frame, as a little-endian number. What is inside compressed blocks is left to the library. */
export const FRAME_MAGIC = 0xfd2fb528;
/** Begins a skippable frame; the lowest four bits are free. */
export const SKIPPABLE_FRAME_MAGIC = 0x184d2a50;

/** No block holds or makes more. */
export const BLOCK_BYTES_MAX = 128 * 1024;
/** Before each block: last or not, its type, its size. */
export const BLOCK_HEADER_BYTES = 3;
/** What follows a block's header. */
export const BLOCK_TYPE = { raw: 0, rle: 1, compressed: 2 } as const;

/**
 * Largest window of a frame that is taken, as a power of two: 8 MiB, what RFC 8878 asks every decoder for and what the
 * `zstd` program uses up to level 19. A decoder holds its window in memory: with 2^27, of level 22, that is 128 MiB.
 */
export const WINDOW_LOG_MAX = 23;

/**
 * Most compressed bytes taken for a blob. A frame that does not compress grows by 3 bytes each 128 KiB; the rest is for
 * encoders that are flushed often. Without it a frame of empty blocks need never end.
 */
export function frameBytesMax(sizeBytes: number): number {
  return sizeBytes + Math.ceil(sizeBytes / 16) + 64 * 1024;
}
