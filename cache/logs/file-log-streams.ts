import { type LinkedAbort, linkedAbort } from '../../core/abort.ts';
import { abortableSource } from '../../core/abortable-source.ts';
import { aborted, isIngotError, unavailable, wrap } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import { fileError } from '../../core/file-error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import { quote } from '../../core/quote.ts';
import type { LogFile } from './log-file.ts';
import { LogFiles } from './log-files.ts';
import { defaultLogStreamLimits, type LogStreamLimits } from './log-stream-limits.ts';
import type { LogStreamStatus, ResumableLogStreams } from './resumable-log-streams.ts';

/** How long a client is asked to wait: until the next process is there. */
const RETRY_MS = 1_000;

/** What a {@link FileLogStreams} depends on. */
export interface FileLogStreamsDependencies {
  /** Made when absent; no other process may use it. */
  readonly folder: string;
  readonly logger: Logger;
  readonly limits?: LogStreamLimits;
  /** Milliseconds since 1970, compared with the files' times when the folder is opened. */
  readonly wallNow?: () => number;
}

/**
 * Log streams in one file each. The writer wakes the readers; nothing polls. Not synced to disk: a log is looked at
 * while it is fresh, its lasting form is a blob. Streams outlive the process, readers do not.
 */
export class FileLogStreams implements ResumableLogStreams, AsyncDisposable {
  readonly #files: LogFiles;
  readonly #calls = new Set<LinkedAbort>();
  #closed = false;

  private constructor(files: LogFiles) {
    this.#files = files;
  }

  static async open({
    folder,
    logger,
    limits,
    wallNow,
  }: FileLogStreamsDependencies): Promise<FileLogStreams> {
    try {
      const files = await LogFiles.open({
        folder,
        logger,
        limits: limits ?? defaultLogStreamLimits,
        wallNow: wallNow ?? Date.now,
      });
      return new FileLogStreams(files);
    } catch (error) {
      throw fileError(error, `Open log streams ${folder}`);
    }
  }

  async write(name: string, source: AsyncIterable<Uint8Array>, { signal }: IoOptions = {}): Promise<void> {
    using call = this.#enter(signal);
    const file = this.#files.take(name);
    if (file.isEnded) throw aborted(`Write log ${quote(name)}: the log has ended`);
    if (file.isWritten) throw aborted(`Write log ${quote(name)}: another writer is at work`);
    try {
      await this.#append(file, abortableSource(source, call.signal));
      await this.#files.end(file);
    } catch (error) {
      this.#files.endLater(file);
      // An IngotError is the source's own word or the signal's.
      throw fileError(error, `Write log ${quote(name)}`);
    }
  }

  async *read(
    name: string,
    offset: number,
    { signal }: IoOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    using call = this.#enter(signal);
    const file = this.#files.take(name);
    if (!file.hasReaders) this.#files.awaitFirst(file);
    try {
      yield* file.read(offset, call.signal);
    } catch (error) {
      if (call.signal.aborted || !isIngotError(error)) throw fileError(error, `Read log ${quote(name)}`);
      throw wrap(error, `Read log ${quote(name)}`);
    } finally {
      if (file.isAwaited && !file.isWritten && !file.hasReaders) this.#files.forget(file);
    }
  }

  async status(name: string): Promise<LogStreamStatus | undefined> {
    const file = this.#files.find(name);
    if (file === undefined || file.isAwaited) return undefined;
    return { sizeBytes: file.deliveredBytes, ended: file.isEnded };
  }

  /** Stops readers and writers with UNAVAILABLE; the streams stay on disk. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const call of this.#calls) call.abort(closing());
    this.#files.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #append(file: LogFile, source: AsyncIterable<Uint8Array>): Promise<void> {
    await file.enterWritten();
    try {
      for await (const chunk of source) await this.#files.append(file, chunk);
    } finally {
      await file.enterLeft();
    }
  }

  #enter(signal: AbortSignal | undefined): LinkedAbort {
    if (this.#closed) throw closing();
    const abort = linkedAbort(signal);
    this.#calls.add(abort);
    return {
      signal: abort.signal,
      abort: (reason) => abort.abort(reason),
      [Symbol.dispose]: () => {
        this.#calls.delete(abort);
        abort[Symbol.dispose]();
      },
    };
  }
}

function closing() {
  return unavailable('the log streams are closing', { details: [retryInfo(RETRY_MS)] });
}
