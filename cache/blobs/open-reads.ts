/** Bytes of one read by one of many readers; a blob up to this size is read whole. */
export const READ_CHUNK_BYTES_MIN = 128 * 1024;
/** What reads of files under way share, one chunk each; a reader may hold a second one until the client took it. */
const SHARED_BYTES = 16 * 1024 * 1024;
/** Of what the others leave of it a read takes no more, so that there is some for those that come later. */
const SHARE_OF_FREE = 1 / 8;
const READ_CHUNK_BYTES_MAX = 1024 * 1024;
/** By one of hundreds: a thousand readers whose clients wait held 131 MB with chunks of 128 KiB. */
const CROWDED_CHUNK_BYTES = 32 * 1024;
const CROWDED_READS = SHARED_BYTES / READ_CHUNK_BYTES_MIN;

/**
 * The reads of files under way. Each chunk costs a hop to a thread and back: 64 MiB over HTTP took 130 ms of processor
 * time with chunks of 128 KiB, and 99 ms with 1 MiB, as much as a plain server of files. So a few readers get large
 * ones, and many share the memory in small ones. What a reader took stays taken until it comes for more: a client that
 * reads slowly holds it all the while.
 */
export class OpenReads {
  #count = 0;
  #takenBytes = 0;

  /** Dispose of it when the read is over. */
  begin(): OpenRead {
    this.#count += 1;
    let ownBytes = 0;
    const take = (bytes: number): number => {
      this.#takenBytes += bytes - ownBytes;
      ownBytes = bytes;
      return bytes;
    };
    return {
      takeChunk: () => take(this.#chunkBytes(SHARED_BYTES - this.#takenBytes + ownBytes)),
      [Symbol.dispose]: () => {
        take(0);
        this.#count -= 1;
      },
    };
  }

  #chunkBytes(freeBytes: number): number {
    const shareBytes = freeBytes * SHARE_OF_FREE;
    if (shareBytes >= READ_CHUNK_BYTES_MAX) return READ_CHUNK_BYTES_MAX;
    if (shareBytes >= READ_CHUNK_BYTES_MIN) return 2 ** Math.floor(Math.log2(shareBytes));
    return this.#count > CROWDED_READS ? CROWDED_CHUNK_BYTES : READ_CHUNK_BYTES_MIN;
  }
}

/** One of the reads under way. */
export interface OpenRead extends Disposable {
  /** How much to read at once now, the chunk before being done with. */
  takeChunk(): number;
}
