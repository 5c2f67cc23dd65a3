import { randomBytes } from 'node:crypto';
import { constants, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { messageMemory } from '../../core/message-memory.ts';
import { readFully } from '../blobs/blob-file-read.ts';
import { writeFully } from '../blobs/write-fully.ts';

/** Two copies of the head, so that one flipped bit in it does not cost the whole segment. */
const HEAD_COPY_BYTES = 32;
/** Where the first record begins. */
export const SEGMENT_HEAD_BYTES = 2 * HEAD_COPY_BYTES;
const MAGIC = Buffer.from('INGOTSEG');
const VERSION = 1;
const SALT_AT = 16;
const CRC_AT = 28;
/**
 * Written and synced with one call: between two, what waits for the disk would wait for this process's turn as well.
 * Elsewhere the flag does not reach through the disk's own cache, or is not there.
 */
const SYNCS_AS_IT_WRITES = process.platform === 'linux';
const WRITE_FLAGS = constants.O_RDWR | (SYNCS_AS_IT_WRITES ? constants.O_DSYNC : 0);

/**
 * One append-only file of records. It stays open while someone reads it, also after it was dropped: a file descriptor
 * is never taken over by another file under a reader.
 */
export class Segment {
  readonly number: number;
  /** What the checksums of its record headers begin with. */
  readonly seed: number;
  /** Bytes known to be good and durable; what stands behind them counts for nothing. */
  lengthBytes: number;
  /** When the last record was written, in seconds since 1970. */
  usedSeconds: number;
  readonly #handle: FileHandle;
  #readers = 0;
  #retired = false;

  private constructor(number: number, handle: FileHandle, { seed, lengthBytes, usedSeconds }: SegmentState) {
    this.number = number;
    this.#handle = handle;
    this.seed = seed;
    this.lengthBytes = lengthBytes;
    this.usedSeconds = usedSeconds;
  }

  /** A new segment, its head durable; its name in the folder is not yet. */
  static async create(path: string, number: number, seconds: number): Promise<Segment> {
    const handle = await open(path, WRITE_FLAGS | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      const head = encodeHead(number);
      const seed = crc32(head.subarray(SALT_AT, CRC_AT));
      const segment = new Segment(number, handle, { seed, lengthBytes: head.length, usedSeconds: seconds });
      await segment.writeAt(0, [head], head.length);
      return segment;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** An existing one, for reading and appending; undefined when its head is damaged. */
  static async open(path: string, number: number): Promise<Segment | undefined> {
    const handle = await open(path, WRITE_FLAGS);
    try {
      const head = Buffer.alloc(SEGMENT_HEAD_BYTES);
      await readFully(handle, head, 0);
      const seed =
        seedOf(head.subarray(0, HEAD_COPY_BYTES), number) ?? seedOf(head.subarray(HEAD_COPY_BYTES), number);
      if (seed === undefined) {
        await handle.close();
        return undefined;
      }
      const { size, mtimeMs } = await handle.stat();
      return new Segment(number, handle, {
        seed,
        lengthBytes: size,
        usedSeconds: Math.floor(mtimeMs / 1000),
      });
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Writes behind the good bytes, durably; they are the reader's once `lengthBytes` says so. */
  async writeAt(position: number, parts: readonly Uint8Array[], sizeBytes: number): Promise<void> {
    await writeFully(this.#handle, parts, { sizeBytes, position });
    if (!SYNCS_AS_IT_WRITES) await this.sync();
  }

  /** Makes durable what an earlier process wrote. */
  async sync(): Promise<void> {
    await this.#handle.datasync();
  }

  /** Cuts off what stands behind the good bytes. */
  async cut(): Promise<void> {
    await this.#handle.truncate(this.lengthBytes);
  }

  /** Bytes from the page cache, in memory that may be given back, mostly: for small reads, which a trip through the thread pool would cost tenfold. */
  readNow(position: number, sizeBytes: number): Buffer {
    const buffer = messageMemory.take(sizeBytes);
    const bytesRead = readSync(this.#handle.fd, buffer, 0, sizeBytes, position);
    return buffer.subarray(0, bytesRead);
  }

  /** Bytes of it, fewer only at its end, in memory that may be given back. */
  async read(position: number, sizeBytes: number): Promise<Buffer> {
    this.#readers += 1;
    try {
      const buffer = messageMemory.take(sizeBytes);
      return buffer.subarray(0, await readFully(this.#handle, buffer, position));
    } finally {
      this.#readers -= 1;
      if (this.#retired && this.#readers === 0) await this.#handle.close();
    }
  }

  /** Closes the file once nobody reads it; nobody may begin to. */
  async retire(): Promise<void> {
    this.#retired = true;
    if (this.#readers === 0) await this.#handle.close();
  }
}

/** What a segment is opened with. */
interface SegmentState {
  readonly seed: number;
  readonly lengthBytes: number;
  readonly usedSeconds: number;
}

function encodeHead(number: number): Buffer {
  const copy = Buffer.alloc(HEAD_COPY_BYTES);
  MAGIC.copy(copy);
  copy.writeUInt32LE(VERSION, 8);
  copy.writeUInt32LE(number, 12);
  randomBytes(CRC_AT - SALT_AT).copy(copy, SALT_AT);
  copy.writeUInt32LE(crc32(copy.subarray(0, CRC_AT)), CRC_AT);
  return Buffer.concat([copy, copy]);
}

function seedOf(copy: Buffer, number: number): number | undefined {
  if (copy.readUInt32LE(CRC_AT) !== crc32(copy.subarray(0, CRC_AT))) return undefined;
  if (!copy.subarray(0, MAGIC.length).equals(MAGIC) || copy.readUInt32LE(8) !== VERSION) return undefined;
  return copy.readUInt32LE(12) === number ? crc32(copy.subarray(SALT_AT, CRC_AT)) : undefined;
}
