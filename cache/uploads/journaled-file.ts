import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DirectorySync } from '../../core/directory-sync.ts';
import { GatheringWriter } from '../blobs/gathering-writer.ts';
import { journalProgress } from './upload-journal.ts';

/** What is synced at once, while more is written. */
const SYNC_BYTES = 16 * 1024 ** 2;
/** So much is at most lost of an upload in a crash, beside what is on its way. */
const UNSYNCED_BYTES_MAX = 32 * 1024 ** 2;

/** What a {@link JournaledFile} is made of. */
export interface JournaledFileOptions {
  readonly path: string;
  readonly journalPath: string;
  /** Its first line. */
  readonly header: Buffer;
  /** What of the file is known to be durable; it is cut off behind. 0 makes a new file. */
  readonly durableBytes: number;
  readonly directories: DirectorySync;
  /** Takes back chunks that are written; see Reusing. */
  readonly giveBack?: ((chunk: Uint8Array) => void) | undefined;
}

/**
 * A file that grows at its end, and a journal beside it that says how much of it survives a power loss. The journal is
 * begun with the first sync, so that what is shorter costs nothing.
 */
export class JournaledFile {
  readonly handle: FileHandle;
  readonly #options: JournaledFileOptions;
  readonly #writer: GatheringWriter;
  #journal: FileHandle | undefined;
  #durableBytes: number;
  #syncing: Promise<void> = Promise.resolve();
  #syncsWaiting = 0;

  private constructor(handle: FileHandle, options: JournaledFileOptions) {
    this.handle = handle;
    this.#options = options;
    const { durableBytes, giveBack } = options;
    this.#writer = new GatheringWriter({ handle, position: durableBytes, giveBack });
    this.#durableBytes = durableBytes;
  }

  static async open(options: JournaledFileOptions): Promise<JournaledFile> {
    const { path, durableBytes } = options;
    const handle = await open(path, durableBytes === 0 ? 'wx+' : 'r+', 0o600);
    try {
      await handle.truncate(durableBytes);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return new JournaledFile(handle, options);
  }

  get durableBytes(): number {
    return this.#durableBytes;
  }

  /** Takes the next bytes; waits for the disk now and then. */
  async append(chunk: Uint8Array): Promise<void> {
    if (!(await this.#writer.append(chunk))) return;
    const unsyncedBytes = this.#writer.writtenBytes - this.#durableBytes;
    // A disk that cannot keep up keeps the client waiting.
    if (unsyncedBytes >= UNSYNCED_BYTES_MAX) await this.#syncing;
    if (unsyncedBytes < SYNC_BYTES || this.#syncsWaiting > 0) return;
    // Goes on behind the next writes; if it fails, so does whoever flushes or syncs next.
    this.#sync().catch((error: unknown) => this.#writer.fail(error));
  }

  /** Writes what was taken. */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /** Makes what was taken durable, and says so in the journal. */
  async makeDurable(): Promise<void> {
    await this.flush();
    await this.#sync();
  }

  /** Waits for what is under way, which may have failed, and closes the journal; the file stays open. */
  async closeJournal(): Promise<void> {
    try {
      await this.#syncing;
    } finally {
      this.#writer[Symbol.dispose]();
      await this.#journal?.close();
      this.#journal = undefined;
    }
  }

  #sync(): Promise<void> {
    this.#syncsWaiting += 1;
    const before = this.#syncing;
    const sync = async (): Promise<void> => {
      try {
        await before;
        await this.#syncNow();
      } finally {
        this.#syncsWaiting -= 1;
      }
    };
    this.#syncing = sync();
    return this.#syncing;
  }

  async #syncNow(): Promise<void> {
    const bytes = this.#writer.writtenBytes;
    if (bytes === this.#durableBytes) return;
    await this.handle.datasync();
    this.#journal ??= await this.#beginJournal();
    await this.#journal.write(journalProgress(bytes));
    await this.#journal.datasync();
    this.#durableBytes = bytes;
  }

  /** A whole one in place of one that an earlier process may have left in the middle of a line. */
  async #beginJournal(): Promise<FileHandle> {
    const { journalPath, header, directories } = this.#options;
    const path = `${journalPath}.new`;
    const journal = await open(path, 'w', 0o600);
    try {
      await journal.write(Buffer.concat([header, journalProgress(this.#durableBytes)]));
      await journal.datasync();
      await rename(path, journalPath);
      await directories.sync(dirname(journalPath));
    } catch (error) {
      await journal.close();
      throw error;
    }
    return journal;
  }
}
