import type { FileHandle } from 'node:fs/promises';
import { writeFully } from './write-fully.ts';

/** Written with one call: clients send as little as 16 KiB at once, and each write costs a trip through the thread pool. */
const PIECE_BYTES = 256 * 1024;
/** The same, and waited for, once all writers of the process hold more than {@link HELD_BYTES_MAX}. */
const SMALL_PIECE_BYTES = 64 * 1024;
const HELD_BYTES_MAX = 32 * 1024 * 1024;

/** Of the process, since its memory is what is short. */
let heldBytesOfAll = 0;

/** What a {@link GatheringWriter} is made of. */
export interface GatheringWriterOptions {
  readonly handle: FileHandle;
  /** Where the first byte goes. */
  readonly position: number;
  /** Takes back chunks that are written; see Reusing. */
  readonly giveBack?: ((chunk: Uint8Array) => void) | undefined;
}

/** Writes chunks one behind the other, in larger pieces: while one is written the next is gathered. */
export class GatheringWriter implements Disposable {
  readonly #handle: FileHandle;
  readonly #giveBack: ((chunk: Uint8Array) => void) | undefined;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  /** Behind all that was handed to writes. */
  #position: number;
  #writtenBytes: number;
  /** Settles with the last piece, and with the first that failed. */
  #writing: Promise<void> = Promise.resolve();

  constructor({ handle, position, giveBack }: GatheringWriterOptions) {
    this.#handle = handle;
    this.#giveBack = giveBack;
    this.#position = position;
    this.#writtenBytes = position;
  }

  /** The file is written up to here; not synced. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Takes the next chunk, and waits for the disk when it is behind; true when a piece was handed to it. */
  async append(chunk: Uint8Array): Promise<boolean> {
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.byteLength;
    heldBytesOfAll += chunk.byteLength;
    const isTight = heldBytesOfAll > HELD_BYTES_MAX;
    if (this.#gatheredBytes < (isTight ? SMALL_PIECE_BYTES : PIECE_BYTES)) return false;
    const before = this.#writing;
    const writing = this.flush();
    await (isTight ? writing : before);
    return true;
  }

  /** Writes all that was taken. */
  flush(): Promise<void> {
    if (this.#gatheredBytes === 0) return this.#writing;
    const [chunks, sizeBytes] = [this.#gathered, this.#gatheredBytes];
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#writing = this.#write(chunks, sizeBytes, this.#writing);
    // Whoever appends or flushes next is told.
    this.#writing.catch(() => undefined);
    return this.#writing;
  }

  /** Has whoever appends or flushes next fail with this. */
  fail(error: unknown): void {
    this.#writing = Promise.reject(error);
    this.#writing.catch(() => undefined);
  }

  /** Lets go of what was not handed over; a write under way goes on, and closing the file waits for it. */
  [Symbol.dispose](): void {
    heldBytesOfAll -= this.#gatheredBytes;
    this.#gatheredBytes = 0;
    this.#gathered = [];
  }

  async #write(chunks: readonly Uint8Array[], sizeBytes: number, before: Promise<void>): Promise<void> {
    const position = this.#position;
    this.#position += sizeBytes;
    try {
      await before;
      await writeFully(this.#handle, chunks, { sizeBytes, position });
    } finally {
      heldBytesOfAll -= sizeBytes;
    }
    if (this.#giveBack !== undefined) chunks.forEach(this.#giveBack);
    this.#writtenBytes = position + sizeBytes;
  }
}
