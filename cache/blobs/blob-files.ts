import { mkdir, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { mapConcurrent } from '../../core/concurrency.ts';
import type { Digest } from '../../core/digest.ts';
import { DirectorySync } from '../../core/directory-sync.ts';
import type { FailPoints } from '../../core/fail-point.ts';
import { fileError, systemCodeOf } from '../../core/file-error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { KeyedMutex } from '../../core/keyed-mutex.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { ByteRange } from '../blob-store.ts';
import { BlobFileLayout, type BlobName } from './blob-file-layout.ts';
import { BlobFileReader } from './blob-file-reader.ts';
import { Quarantine } from './quarantine.ts';
import { type StagedFile, stageFile } from './staged-file.ts';

/** Folders synced at once at start. */
const SYNCS_AT_ONCE = 4;

/** Where a process can be made to die while it stores a blob, in order. */
export const blobFileFailPoints = [
  'cas.after_create',
  'cas.half_written',
  'cas.after_write',
  'cas.after_sync',
  'cas.after_rename',
  'cas.before_reply',
] as const;

/** What {@link BlobFiles} depend on. */
export interface BlobFilesDependencies {
  /** Holds {@link BlobFileLayout}; made when absent. No other process may use it: hold a FolderLock. */
  readonly folder: string;
  readonly logger: Logger;
  readonly failPoints: FailPoints;
  /** Called when a damaged file was taken away. */
  readonly onExpelled: (digest: Digest) => void;
}

/**
 * Blobs in files of their own: staged in `incoming/`, hashed on the way, synced, renamed into place and the rename
 * synced. Who may have what, and what is there, is for a store to say.
 */
export class BlobFiles implements AsyncDisposable {
  readonly layout: BlobFileLayout;
  readonly quarantine: Quarantine;
  readonly #failPoints: FailPoints;
  readonly #reader: BlobFileReader;
  readonly #directories = new DirectorySync();
  /** Renames to and from a blob's place exclude each other. */
  readonly #places = new KeyedMutex();
  #staged = 0;

  private constructor({ folder, logger, failPoints, onExpelled }: BlobFilesDependencies) {
    this.layout = new BlobFileLayout(folder);
    this.quarantine = new Quarantine({ folder: this.layout.quarantineFolder, logger });
    this.#failPoints = failPoints;
    this.#reader = new BlobFileReader({
      layout: this.layout,
      quarantine: this.quarantine,
      places: this.#places,
      onExpelled,
    });
  }

  /** Makes the folders, and removes what uploads of an earlier process left in `incoming/`. */
  static async open(dependencies: BlobFilesDependencies): Promise<BlobFiles> {
    const files = new BlobFiles(dependencies);
    try {
      await files.#prepare(dependencies.folder);
    } catch (error) {
      throw fileError(error, `Open blob store ${dependencies.folder}`);
    }
    return files;
  }

  /** The file's length, or undefined when there is none. */
  sizeOf(name: BlobName): Promise<number | undefined> {
    return sizeOf(this.layout.blobPath(name));
  }

  /** As BlobStore's `read`. */
  read(
    digest: Digest,
    range: ByteRange | undefined,
    options: IoOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#reader.read(digest, range, options);
  }

  /** Hashes a blob's file, whatever is known of it; false when it is damaged, and taken away unless it is to be kept. */
  check(digest: Digest, options: { readonly keep?: boolean }): Promise<boolean> {
    return this.#reader.check(digest, options);
  }

  /**
   * Takes away a blob's file whose length shows that it is damaged: another one than is expected, or, where that is not
   * known, none. For a start, when nobody reads or writes yet.
   */
  async expelMisfit(name: BlobName, expectedBytes?: number): Promise<void> {
    const path = this.layout.blobPath(name);
    try {
      const stats = await stat(path, { bigint: true });
      const isRight = expectedBytes === undefined ? stats.size > 0n : stats.size === BigInt(expectedBytes);
      if (isRight) return;
      const damage = { hash: name.hash, expectedBytes, seen: `${stats.size} bytes` };
      await this.quarantine.take(path, stats, damage);
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw fileError(error, 'Take a damaged blob away');
    }
  }

  /** A file with all the bytes, and what their digest is. */
  stage(
    source: AsyncIterable<Uint8Array>,
    options: Omit<Parameters<typeof stageFile>[2], 'failPoints'>,
  ): Promise<StagedFile> {
    this.#staged += 1;
    const path = join(this.layout.incomingFolder, String(this.#staged));
    return stageFile(path, source, { ...options, failPoints: this.#failPoints });
  }

  /**
   * Moves a staged file to its place and resolves when it is durable there. `unless` is asked when it is about to be
   * moved, `then` called in the same turn in which it is there for good.
   */
  async commit(staged: StagedFile, unless: () => boolean, then: () => void): Promise<void> {
    const { digest } = staged;
    await staged.sync();
    this.#failPoints.pass('cas.after_sync');
    await this.#places.run(this.layout.blobPath(digest), async () => {
      if (unless()) return;
      await this.#move(staged);
      staged.moved();
      this.#failPoints.pass('cas.after_rename');
      await this.#directories.sync(this.layout.blobFolder(digest));
      then();
    });
  }

  /** Deletes a blob's file, unless `unless` says no at that moment. */
  async remove(name: BlobName, unless: () => boolean): Promise<void> {
    const path = this.layout.blobPath(name);
    await this.#places.run(path, async () => {
      if (unless()) return;
      try {
        await unlink(path);
      } catch (error) {
        if (systemCodeOf(error) !== 'ENOENT') throw fileError(error, 'Delete a blob');
      }
    });
  }

  /** Closes the folders. */
  async close(): Promise<void> {
    await this.#directories.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #prepare(folder: string): Promise<void> {
    const { incomingFolder, quarantineFolder, blobsFolder } = this.layout;
    for (const path of [incomingFolder, quarantineFolder, blobsFolder])
      await mkdir(path, { recursive: true });
    for (const name of await readdir(incomingFolder)) {
      await rm(join(incomingFolder, name), { recursive: true, force: true });
    }
    // A rename that an earlier process did not live to sync is synced here, before anyone is told of the blob.
    const fanOut = await this.layout.fanOutFolders();
    const parents = [...new Set(fanOut.map((path) => dirname(path))), blobsFolder, folder];
    await mapConcurrent([...fanOut, ...parents], SYNCS_AT_ONCE, (path) => this.#directories.sync(path));
  }

  /** Folders are made when the first file comes to them: most digest functions never have one. */
  async #move({ path, digest }: StagedFile): Promise<void> {
    const target = this.layout.blobPath(digest);
    try {
      await rename(path, target);
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
      const folder = this.layout.blobFolder(digest);
      await mkdir(folder, { recursive: true });
      await this.#directories.sync(dirname(folder));
      await this.#directories.sync(this.layout.blobsFolder);
      await rename(path, target);
    }
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw fileError(error, 'Look for a blob');
  }
}
