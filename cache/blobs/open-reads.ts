/** Bytes of one read by one of many readers; a blob up to this size is read whole. */
export const READ_CHUNK_BYTES_MIN = 128 * 1024;
/** What reads of files under way share, one chunk each; a reader may hold a second one until the client took it. */
const SHARED_BYTES = 16 * 1024 * 1024;
const READ_CHUNK_BYTES_MAX = 1024 * 1024;
/** By one of hundreds: a thousand readers whose clients wait held 131 MB with chunks of 128 KiB. */
const CROWDED_CHUNK_BYTES = 32 * 1024;

/**
 * The reads of files under way. Each chunk costs a hop to a thread and back: 64 MiB over HTTP took 130 ms of processor
 * time with chunks of 128 KiB, and 99 ms with 1 MiB, as much as a plain server of files. So a few readers get large
 * ones, and many share the memory in small ones.
 */
export class OpenReads {
  #count = 0;

  /** How much to read at once now. */
  get chunkBytes(): number {
    const share = SHARED_BYTES / Math.max(1, this.#count);
    if (share >= READ_CHUNK_BYTES_MAX) return READ_CHUNK_BYTES_MAX;
    if (share >= 4 * READ_CHUNK_BYTES_MIN) return 4 * READ_CHUNK_BYTES_MIN;
    return share >= READ_CHUNK_BYTES_MIN ? READ_CHUNK_BYTES_MIN : CROWDED_CHUNK_BYTES;
  }

  begin(): void {
    this.#count += 1;
  }

  end(): void {
    this.#count -= 1;
  }
}
