import { createReadStream, lstatSync, readdirSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '../../cache/blob-store.ts';
import { verifiedBytes } from '../../cache/blobs/verified-bytes.ts';
import { untilAborted } from '../../core/abort.ts';
import { isIngotError, unavailable } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { StoreRetries } from '../store-retries.ts';
import { type BlobFile, blobFileName, parseBlobFileName } from './blob-file-name.ts';
import { BlobFileWriter } from './blob-file-writer.ts';

/** A blob that stays on this disk until it is disposed of. */
export interface PinnedBlob extends Disposable {
  /** Path below the cache's folder. */
  readonly path: string;
}

export interface LocalBlobCacheOptions {
  readonly folder: string;
  /** What all files may take together. */
  readonly bytesMax: number;
  /** Where blobs come from, unless `acquire` is told another place. */
  readonly source: BlobStore;
  readonly retries: StoreRetries;
  readonly logger: Logger;
}

interface Entry {
  readonly file: BlobFile;
  readonly path: string;
  pins: number;
  /** What the file looked like when this process saw that its bytes match; undefined before that. */
  verifiedAs: string | undefined;
}

/** How a blob is fetched. */
interface AcquireOptions extends IoOptions {
  /** The store of the instance that wants it. Who waits for the same blob at once shares what comes. */
  readonly source?: BlobStore;
}

/**
 * The worker's own copies of input blobs, as files to be linked into input roots. Keeps the ones used last, within a
 * byte limit; one in use is never removed. A blob wanted by several actions at once is fetched once.
 */
export class LocalBlobCache {
  readonly bytesMax: number;
  readonly #folder: string;
  readonly #source: BlobStore;
  readonly #retries: StoreRetries;
  readonly #logger: Logger;
  readonly #writer: BlobFileWriter;
  /** By path; the ones used longest ago come first. */
  readonly #entries = new Map<string, Entry>();
  readonly #arriving = new Map<string, Promise<boolean>>();
  #bytes = 0;

  private constructor({ folder, bytesMax, source, retries, logger }: LocalBlobCacheOptions) {
    this.bytesMax = bytesMax;
    this.#folder = folder;
    this.#source = source;
    this.#retries = retries;
    this.#logger = logger;
    this.#writer = new BlobFileWriter(folder);
  }

  /** Takes over what an earlier process left in the folder, to be verified at its first use. */
  static async open(options: LocalBlobCacheOptions): Promise<LocalBlobCache> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const cache = new LocalBlobCache(options);
    cache.#writer.prepare();
    cache.#load();
    return cache;
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * The blob as a pinned file; undefined when the store has no such blob or only damaged bytes. INTERNAL when this
   * disk fails, UNAVAILABLE when everything on it is in use.
   */
  async acquire(
    file: BlobFile,
    { signal, source = this.#source }: AcquireOptions = {},
  ): Promise<PinnedBlob | undefined> {
    const path = blobFileName(file);
    for (;;) {
      const present = this.#entries.get(path);
      if (present !== undefined && this.#isVerified(present)) return this.#pin(present);
      let arriving = this.#arriving.get(path);
      if (arriving === undefined) {
        // Not bound to this caller's signal: others may come to wait for it.
        arriving = this.#bring(file, path, source).finally(() => this.#arriving.delete(path));
        this.#arriving.set(path, arriving);
      }
      if (!(await untilAborted(arriving, signal))) return undefined;
    }
  }

  /** Puts a blob of the worker's own into the cache, pinned. */
  async store(file: BlobFile, source: AsyncIterable<Uint8Array>): Promise<PinnedBlob> {
    const path = blobFileName(file);
    const present = this.#entries.get(path);
    if (present !== undefined) this.#drop(present);
    this.#reserve(file.digest.sizeBytes);
    await this.#writer.write(file, source);
    return this.#pin(this.#addVerified(file, path));
  }

  #pin(entry: Entry): PinnedBlob {
    this.#entries.delete(entry.path);
    this.#entries.set(entry.path, entry);
    entry.pins += 1;
    let held = true;
    return {
      path: entry.path,
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        entry.pins -= 1;
      },
    };
  }

  /** Makes a verified entry; false when there is no such blob. */
  async #bring(file: BlobFile, path: string, source: BlobStore): Promise<boolean> {
    const unverified = this.#entries.get(path);
    if (unverified !== undefined) {
      if (await this.#matches(unverified)) return true;
      this.#drop(unverified);
    }
    this.#reserve(file.digest.sizeBytes);
    try {
      if (!(await this.#copyOfTwin(file)) && !(await this.#fetch(file, source))) {
        this.#bytes -= file.digest.sizeBytes;
        return false;
      }
    } catch (error) {
      this.#bytes -= file.digest.sizeBytes;
      throw error;
    }
    this.#addVerified(file, path);
    return true;
  }

  #addVerified(file: BlobFile, path: string): Entry {
    const entry = { file, path, pins: 0, verifiedAs: this.#factsOf(path) };
    this.#entries.set(path, entry);
    return entry;
  }

  /** A file that was deleted, cut or written to since, by whatever hand, is looked at again and fetched anew. */
  #isVerified({ path, verifiedAs }: Entry): boolean {
    return verifiedAs !== undefined && verifiedAs === this.#factsOf(path);
  }

  /** Not its ctime, which changes with every link to it. */
  #factsOf(path: string): string | undefined {
    const stats = lstatSync(join(this.#folder, path), { throwIfNoEntry: false, bigint: true });
    return stats && `${stats.ino} ${stats.mode} ${stats.size} ${stats.mtimeNs}`;
  }

  async #fetch(file: BlobFile, store: BlobStore): Promise<boolean> {
    try {
      return await this.#retries.run(`fetch blob ${file.digest}`, async () => {
        const source = await store.read(file.digest);
        if (source === undefined) return false;
        await this.#writer.write(file, source);
        return true;
      });
    } catch (error) {
      if (!isIngotError(error, Code.DATA_LOSS)) throw error;
      // The store has dropped it by now, so that a client who is told that it is missing can heal it.
      this.#logger.warn({ digest: String(file.digest), error }, 'input blob is damaged in the store');
      return false;
    }
  }

  async #copyOfTwin(file: BlobFile): Promise<boolean> {
    const twin = this.#entries.get(blobFileName({ ...file, executable: !file.executable }));
    if (twin === undefined || !this.#isVerified(twin)) return false;
    using _pin = this.#pin(twin);
    await this.#writer.copy(twin.file, file);
    return true;
  }

  async #matches(entry: Entry): Promise<boolean> {
    const bytes = createReadStream(join(this.#folder, entry.path));
    try {
      const facts = this.#factsOf(entry.path);
      for await (const _chunk of verifiedBytes(entry.file.digest, bytes)) {
        // Only its end matters: it comes when size and hash are right.
      }
      entry.verifiedAs = facts;
      return true;
    } catch (error) {
      this.#logger.warn({ path: entry.path, error }, 'cached input blob is damaged and fetched again');
      return false;
    }
  }

  #reserve(bytes: number): void {
    this.#bytes += bytes;
    for (const entry of this.#entries.values()) {
      if (this.#bytes <= this.bytesMax) return;
      if (entry.pins === 0 && !this.#arriving.has(entry.path)) this.#drop(entry);
    }
    if (this.#bytes <= this.bytesMax) return;
    this.#bytes -= bytes;
    throw unavailable(
      `make room for ${bytes} bytes of input: the blob cache holds ${this.#bytes} of ${this.bytesMax} bytes, all in use`,
    );
  }

  #drop(entry: Entry): void {
    rmSync(join(this.#folder, entry.path), { force: true });
    this.#entries.delete(entry.path);
    this.#bytes -= entry.file.digest.sizeBytes;
  }

  #load(): void {
    for (const folder of readdirSync(this.#folder, { withFileTypes: true })) {
      if (!folder.isDirectory() || folder.name === 'incoming') continue;
      for (const name of readdirSync(join(this.#folder, folder.name))) {
        const file = parseBlobFileName(name);
        const path = `${folder.name}/${name}`;
        if (file === undefined || blobFileName(file) !== path) continue;
        this.#entries.set(path, { file, path, pins: 0, verifiedAs: undefined });
        this.#bytes += file.digest.sizeBytes;
      }
    }
    this.#reserve(0);
  }
}
