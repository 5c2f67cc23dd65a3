import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { linkedAbort } from '../../core/abort.ts';
import { mapConcurrent } from '../../core/concurrency.ts';
import { Digest } from '../../core/digest.ts';
import { DirectorySync } from '../../core/directory-sync.ts';
import { type IngotError, invalidArgument, unavailable } from '../../core/error.ts';
import { type FailPoints, noFailPoints } from '../../core/fail-point.ts';
import { fileError, systemCodeOf } from '../../core/file-error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { KeyedMutex } from '../../core/keyed-mutex.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { BlobStore, ByteRange } from '../blob-store.ts';
import { BlobFileLayout } from './blob-file-layout.ts';
import { BlobFileReader } from './blob-file-reader.ts';
import type { BlobIngest, IngestOptions } from './blob-ingest.ts';
import type { BlobHash, BlobLookup } from './blob-lookup.ts';
import { Quarantine } from './quarantine.ts';
import { type StagedFile, stageFile } from './staged-file.ts';
import { UploadRaces, type UploadRunner } from './upload-race.ts';

/** stat() calls of one findMissing at once: Node's thread pool runs four, more only keep it fed. */
const STATS_AT_ONCE = 16;
/** Folders synced at once at start. */
const SYNCS_AT_ONCE = 4;

/** Where a process can be made to die while it stores a blob, in order. */
export const blobStoreFailPoints = [
  'cas.after_create',
  'cas.half_written',
  'cas.after_write',
  'cas.after_sync',
  'cas.after_rename',
  'cas.before_reply',
] as const;

/** What a {@link FileBlobStore} depends on. */
export interface FileBlobStoreDependencies {
  /** Holds {@link BlobFileLayout}; made when absent. No other process may use it: hold a FolderLock. */
  readonly folder: string;
  readonly logger: Logger;
  readonly failPoints?: FailPoints;
}

/**
 * Blobs as one file each. A write is staged in `incoming/`, hashed on the way, synced, renamed into place and the
 * rename synced before it resolves. Whole blobs are hashed when read, unless the very file was before; a damaged
 * one is moved to quarantine and is absent from then on. Wrap it in EmptyBlobStore: it knows nothing of empty blobs.
 */
export class FileBlobStore implements BlobStore, BlobLookup, BlobIngest, AsyncDisposable {
  readonly #layout: BlobFileLayout;
  readonly #failPoints: FailPoints;
  readonly #quarantine: Quarantine;
  readonly #reader: BlobFileReader;
  readonly #directories = new DirectorySync();
  readonly #races = new UploadRaces();
  /** Renames to and from a blob's place exclude each other. */
  readonly #places = new KeyedMutex();
  #staged = 0;
  #closed = false;

  private constructor({ folder, logger, failPoints = noFailPoints }: FileBlobStoreDependencies) {
    this.#layout = new BlobFileLayout(folder);
    this.#failPoints = failPoints;
    this.#quarantine = new Quarantine({ folder: this.#layout.quarantineFolder, logger });
    this.#reader = new BlobFileReader({
      layout: this.#layout,
      quarantine: this.#quarantine,
      places: this.#places,
    });
  }

  /** Opens the store: makes its folders, and removes what uploads of an earlier process left in `incoming/`. */
  static async open(dependencies: FileBlobStoreDependencies): Promise<FileBlobStore> {
    const store = new FileBlobStore(dependencies);
    try {
      await store.#prepare(dependencies.folder);
    } catch (error) {
      throw fileError(error, `Open blob store ${dependencies.folder}`);
    }
    return store;
  }

  /** Damaged blobs met since start. */
  get corruptBlobs(): number {
    return this.#quarantine.count;
  }

  async findMissing(digests: readonly Digest[], options: IoOptions = {}): Promise<Digest[]> {
    this.#checkOpen();
    const distinct = [...new Map(digests.map((digest) => [digest.key, digest])).values()];
    const present = await mapConcurrent(
      distinct,
      STATS_AT_ONCE,
      (digest) => this.#isPresent(digest),
      options,
    );
    return distinct.filter((_, index) => !present[index]);
  }

  async find(blob: BlobHash): Promise<Digest | undefined> {
    this.#checkOpen();
    const sizeBytes = await sizeOf(this.#layout.blobPath(blob));
    // An empty file is a damaged one: no hash but that of nothing goes with it.
    return sizeBytes === undefined || sizeBytes === 0
      ? undefined
      : Digest.of(blob.hash, sizeBytes, blob.digestFunction);
  }

  async read(
    digest: Digest,
    range?: ByteRange,
    options: IoOptions = {},
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    this.#checkOpen();
    return this.#reader.read(digest, range, options);
  }

  async write(digest: Digest, source: AsyncIterable<Uint8Array>, { signal }: IoOptions = {}): Promise<void> {
    this.#checkOpen();
    if (await this.#isPresent(digest)) return;
    using runner = this.#races.enter(digest.key, { signal });
    await runner.start();
    if (runner.beaten) return;
    try {
      await using staged = await this.#stage(source, {
        digestFunction: digest.digestFunction,
        bytesMax: digest.sizeBytes,
        what: digest.toString(),
        signal: runner.signal,
        onMoved: () => runner.moved(),
      });
      if (staged.digest.key !== digest.key) throw mismatch(digest.toString(), staged.digest);
      await this.#commit(staged, runner);
    } catch (error) {
      if (runner.beaten) return;
      throw fileError(error, `Write ${digest}`);
    }
    this.#failPoints.pass('cas.before_reply');
  }

  async ingest(source: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<Digest> {
    this.#checkOpen();
    const { digestFunction, bytesMax, hash, signal } = options;
    const what = hash ?? 'a blob';
    using abort = linkedAbort(signal);
    try {
      await using staged = await this.#stage(source, {
        digestFunction,
        bytesMax,
        what,
        signal: abort.signal,
        onMoved: () => undefined,
      });
      const { digest } = staged;
      if (hash !== undefined && hash !== digest.hash) throw mismatch(hash, digest);
      if (!digest.isEmpty && !(await this.#isPresent(digest))) await this.#commit(staged);
      return digest;
    } catch (error) {
      throw fileError(error, `Write ${what}`);
    }
  }

  /** Refuses what comes from now on, and closes the folders. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#directories.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #prepare(folder: string): Promise<void> {
    const { incomingFolder, quarantineFolder } = this.#layout;
    const folders = this.#layout.fanOutFolders();
    for (const path of [incomingFolder, quarantineFolder, ...folders]) await mkdir(path, { recursive: true });
    for (const name of await readdir(incomingFolder)) {
      await rm(join(incomingFolder, name), { recursive: true, force: true });
    }
    // A rename that an earlier process did not live to sync is synced here, before anyone is told of the blob.
    const parents = [...this.#layout.functionFolders(), this.#layout.blobsFolder, folder];
    await mapConcurrent([...folders, ...parents], SYNCS_AT_ONCE, (path) => this.#directories.sync(path));
  }

  /** Present and durable. */
  async #isPresent(digest: Digest): Promise<boolean> {
    const path = this.#layout.blobPath(digest);
    if ((await sizeOf(path)) !== digest.sizeBytes) return false;
    // A file just renamed into place is not durable before that is over.
    await this.#places.idle(path);
    return true;
  }

  #stage(
    source: AsyncIterable<Uint8Array>,
    options: Omit<Parameters<typeof stageFile>[2], 'failPoints'>,
  ): Promise<StagedFile> {
    this.#staged += 1;
    const path = join(this.#layout.incomingFolder, String(this.#staged));
    return stageFile(path, source, { ...options, failPoints: this.#failPoints });
  }

  async #commit(staged: StagedFile, runner?: UploadRunner): Promise<void> {
    const path = this.#layout.blobPath(staged.digest);
    await staged.sync();
    this.#failPoints.pass('cas.after_sync');
    await this.#places.run(path, async () => {
      if (runner?.beaten) return;
      await rename(staged.path, path);
      this.#failPoints.pass('cas.after_rename');
      await this.#directories.sync(this.#layout.blobFolder(staged.digest));
      runner?.win();
    });
  }

  #checkOpen(): void {
    if (this.#closed) throw unavailable('the blob store is closed');
  }
}

function mismatch(what: string, seen: Digest): IngotError {
  return invalidArgument(`Write ${what}: the bytes that arrived are ${seen}`);
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw fileError(error, 'Look for a blob');
  }
}
