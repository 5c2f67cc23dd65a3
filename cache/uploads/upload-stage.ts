import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { throwIfAborted, untilAborted } from '../../core/abort.ts';
import { abortableSource } from '../../core/abortable-source.ts';
import { type Digest, DigestHasher } from '../../core/digest.ts';
import type { DirectorySync } from '../../core/directory-sync.ts';
import { invalidArgument, isIngotError, unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { giveBackOf } from '../../core/streams.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { readFully } from '../blobs/blob-file-read.ts';
import { BLOB_MODE, type SelfStaging, StagedFile, type StageOptions } from '../blobs/staged-file.ts';
import { JournaledFile } from './journaled-file.ts';
import { journalHeader } from './upload-journal.ts';

/** Bytes of one read while the first part is hashed again. */
const READ_BYTES = 1024 * 1024;
/** How long a client is asked to wait whose first part was lost. */
const RETRY_MS = 100;

/** What an {@link UploadStage} is made of. */
export interface UploadStageOptions {
  /** The upload's name. */
  readonly key: string;
  readonly digest: Digest;
  readonly path: string;
  readonly journalPath: string;
  /** What an earlier process left. */
  readonly durableBytes: number;
  readonly directories: DirectorySync;
  /** Called once, when nothing is left of it for a later upload. */
  readonly onOver: () => void;
}

/**
 * The file of one upload, which outlives a crash as far as its journal says. States: idle (nothing was asked of it, or an
 * earlier process left it), filling, over (the bytes are complete, kept for a later process, or thrown away).
 */
export class UploadStage {
  readonly #options: UploadStageOptions;
  #file: JournaledFile | undefined;
  #isFilled = false;
  #receivedBytes: number;
  #moved = Promise.withResolvers<void>();

  constructor(options: UploadStageOptions) {
    this.#options = options;
    this.#receivedBytes = options.durableBytes;
  }

  get key(): string {
    return this.#options.key;
  }

  get path(): string {
    return this.#options.path;
  }

  /** Bytes that survive a power loss. */
  get durableBytes(): number {
    return this.#file?.durableBytes ?? this.#options.durableBytes;
  }

  /** Bytes in its file, or on their way there. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Waits until so many bytes have arrived and survive a power loss; at once while it is not being filled. */
  async durableTo(bytes: number, { signal }: IoOptions): Promise<void> {
    while (this.#file !== undefined && this.#receivedBytes < bytes) {
      await untilAborted(this.#moved.promise, signal);
    }
    if (this.durableBytes < bytes) await this.#file?.makeDurable();
  }

  /** The upload as a store takes it: the bytes that are here, and `rest` behind them. */
  source(rest: AsyncIterable<Uint8Array>): SelfStaging {
    return {
      stage: (options) => this.#fill(rest, options),
      through: (pass) => this.source(pass(rest)),
      [Symbol.asyncIterator]: () => this.#all(rest),
    };
  }

  /** Says that the upload is over: what a store has not taken is thrown away, or kept for a later process. */
  async leave({ isKept }: { readonly isKept: boolean }): Promise<void> {
    if (this.#isFilled) return;
    if (isKept) this.#options.onOver();
    else await this.#discard();
  }

  /**
   * All bytes in the stage's file. INVALID_ARGUMENT when there are too many. What is here is kept when the error is
   * UNAVAILABLE, as it is when the server closes; else it is gone.
   */
  async #fill(rest: AsyncIterable<Uint8Array>, options: StageOptions): Promise<StagedFile> {
    const { path, journalPath, key, digest, durableBytes, directories } = this.#options;
    const header = journalHeader({ key, digest });
    const giveBack = giveBackOf(rest);
    const file = await JournaledFile.open({
      path,
      journalPath,
      header,
      durableBytes,
      directories,
      giveBack,
    });
    this.#isFilled = true;
    this.#file = file;
    let isLost = false;
    try {
      options.failPoints.pass('cas.after_create');
      const seen = await this.#append(file, rest, options);
      await file.closeJournal();
      isLost = durableBytes > 0 && !seen.equals(digest);
      if (isLost) throw lostPart(options.what, durableBytes);
      await file.handle.chmod(BLOB_MODE);
      options.failPoints.pass('cas.after_write');
      return new StagedFile(path, file.handle, { digest: seen, onDisposed: () => this.#forget() });
    } catch (error) {
      await this.#stop(file, !isLost && isIngotError(error, Code.UNAVAILABLE));
      throw error;
    } finally {
      this.#file = undefined;
      this.#moved.resolve();
    }
  }

  async *#all(rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const { path, durableBytes } = this.#options;
    if (durableBytes > 0) yield* createReadStream(path, { end: durableBytes - 1, highWaterMark: READ_BYTES });
    yield* rest;
  }

  async #append(
    file: JournaledFile,
    rest: AsyncIterable<Uint8Array>,
    options: StageOptions,
  ): Promise<Digest> {
    const { bytesMax, what, signal, failPoints, onMoved } = options;
    const hasher = new DigestHasher(options.digestFunction);
    await hashFirst(file, hasher, signal);
    for await (const chunk of abortableSource(rest, signal)) {
      if (hasher.sizeBytes + chunk.byteLength > bytesMax) {
        throw invalidArgument(`Write ${what}: more than ${bytesMax} bytes arrived`);
      }
      onMoved();
      hasher.update(chunk);
      await file.append(chunk);
      this.#receivedBytes = hasher.sizeBytes;
      this.#moved.resolve();
      this.#moved = Promise.withResolvers();
      failPoints.pass('cas.half_written');
    }
    await file.flush();
    return hasher.digest();
  }

  async #stop(file: JournaledFile, isKept: boolean): Promise<void> {
    // Should one of these fail, what was durable before still is.
    if (isKept) await file.makeDurable().catch(() => undefined);
    await file.closeJournal().catch(() => undefined);
    await file.handle.close();
    if (isKept && file.durableBytes > 0) this.#options.onOver();
    else await this.#discard();
  }

  async #discard(): Promise<void> {
    await rm(this.#options.path, { force: true });
    await this.#forget();
  }

  async #forget(): Promise<void> {
    await rm(this.#options.journalPath, { force: true });
    this.#options.onOver();
  }
}

/** The client's bytes may be right: it is asked to send all of them again. */
function lostPart(what: string, durableBytes: number) {
  return unavailable(
    `Write ${what}: with the ${durableBytes} bytes that were here before a restart it is another blob; send it again from 0`,
    { details: [retryInfo(RETRY_MS)] },
  );
}

async function hashFirst(file: JournaledFile, hasher: DigestHasher, signal: AbortSignal): Promise<void> {
  const { durableBytes, handle } = file;
  while (hasher.sizeBytes < durableBytes) {
    throwIfAborted(signal);
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, durableBytes - hasher.sizeBytes));
    const bytesRead = await readFully(handle, buffer, hasher.sizeBytes);
    hasher.update(buffer.subarray(0, bytesRead));
    if (bytesRead < buffer.byteLength) return;
  }
}
