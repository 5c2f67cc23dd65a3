import { linkedAbort } from '../../core/abort.ts';
import { mapConcurrent } from '../../core/concurrency.ts';
import { Digest } from '../../core/digest.ts';
import { unavailable } from '../../core/error.ts';
import { type FailPoints, noFailPoints } from '../../core/fail-point.ts';
import { fileError } from '../../core/file-error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { BlobStore, ByteRange } from '../blob-store.ts';
import { BlobFiles } from './blob-files.ts';
import type { BlobIngest, IngestOptions } from './blob-ingest.ts';
import type { BlobHash, BlobLookup } from './blob-lookup.ts';
import { bytesMismatch } from './bytes-mismatch.ts';
import type { StagedFile } from './staged-file.ts';
import { UploadRaces, type UploadRunner } from './upload-race.ts';

/** stat() calls of one findMissing at once: Node's thread pool runs four, more only keep it fed. */
const STATS_AT_ONCE = 16;

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
  readonly #files: BlobFiles;
  readonly #failPoints: FailPoints;
  readonly #races = new UploadRaces();
  #closed = false;

  private constructor(files: BlobFiles, failPoints: FailPoints) {
    this.#files = files;
    this.#failPoints = failPoints;
  }

  /** Opens the store: makes its folders, and removes what uploads of an earlier process left in `incoming/`. */
  static async open({
    folder,
    logger,
    failPoints = noFailPoints,
  }: FileBlobStoreDependencies): Promise<FileBlobStore> {
    return new FileBlobStore(await BlobFiles.open({ folder, logger, failPoints }), failPoints);
  }

  /** Damaged blobs met since start. */
  get corruptBlobs(): number {
    return this.#files.quarantine.count;
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
    const sizeBytes = await this.#files.sizeOf(blob);
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
    return this.#files.read(digest, range, options);
  }

  async write(digest: Digest, source: AsyncIterable<Uint8Array>, { signal }: IoOptions = {}): Promise<void> {
    this.#checkOpen();
    if (await this.#isPresent(digest)) return;
    using runner = this.#races.enter(digest.key, { signal });
    await runner.start();
    if (runner.beaten) return;
    try {
      await using staged = await this.#files.stage(source, {
        digestFunction: digest.digestFunction,
        bytesMax: digest.sizeBytes,
        what: digest.toString(),
        signal: runner.signal,
        onMoved: () => runner.moved(),
      });
      if (staged.digest.key !== digest.key) throw bytesMismatch(digest.toString(), staged.digest);
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
      await using staged = await this.#files.stage(source, {
        digestFunction,
        bytesMax,
        what,
        signal: abort.signal,
        onMoved: () => undefined,
      });
      const { digest } = staged;
      if (hash !== undefined && hash !== digest.hash) throw bytesMismatch(hash, digest);
      if (!digest.isEmpty && !(await this.#isPresent(digest))) await this.#commit(staged);
      return digest;
    } catch (error) {
      throw fileError(error, `Write ${what}`);
    }
  }

  /** Refuses what comes from now on, and closes the folders. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#files.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Present and durable. */
  async #isPresent(digest: Digest): Promise<boolean> {
    if ((await this.#files.sizeOf(digest)) !== digest.sizeBytes) return false;
    await this.#files.idle(digest);
    return true;
  }

  async #commit(staged: StagedFile, runner?: UploadRunner): Promise<void> {
    await this.#files.commit(
      staged,
      () => runner?.beaten ?? false,
      () => runner?.win(),
    );
  }

  #checkOpen(): void {
    if (this.#closed) throw unavailable('the blob store is closed');
  }
}
