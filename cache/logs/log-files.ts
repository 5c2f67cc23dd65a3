import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { resourceExhausted } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { Logger } from '../../core/log/logger.ts';
import { quote } from '../../core/quote.ts';
import { LogFile } from './log-file.ts';
import type { LogStreamLimits } from './log-stream-limits.ts';

const FILE_NAME = /^([0-9a-f]{64})\.(open|ended)$/;

/** How long a client is asked to wait when too many logs are open: actions end. */
const RETRY_MS = 1_000;

/** What {@link LogFiles} depends on. */
export interface LogFilesDependencies {
  /** Made when absent; no other process may use it. */
  readonly folder: string;
  readonly logger: Logger;
  readonly limits: LogStreamLimits;
  /** Milliseconds since 1970, compared with the files' times when the folder is opened. */
  readonly wallNow: () => number;
}

/** The log streams that a folder holds, kept within their limits: how many, how large together, for how long. */
export class LogFiles {
  readonly #folder: string;
  readonly #logger: Logger;
  readonly #limits: LogStreamLimits;
  /** By hash of the name; ended ones in the order of their ends. */
  readonly #files = new Map<string, LogFile>();
  #totalBytes = 0;
  #closed = false;

  private constructor({ folder, logger, limits }: LogFilesDependencies) {
    this.#folder = folder;
    this.#logger = logger;
    this.#limits = limits;
  }

  /** Opens the folder; what in it has had its time is forgotten. */
  static async open(dependencies: LogFilesDependencies): Promise<LogFiles> {
    const files = new LogFiles(dependencies);
    await files.#restore(dependencies.wallNow());
    return files;
  }

  /** The stream of that name, or undefined when there is none. */
  find(name: string): LogFile | undefined {
    return this.#files.get(keyOf(name));
  }

  /** The stream of that name; RESOURCE_EXHAUSTED when it would be one too many. */
  take(name: string): LogFile {
    const key = keyOf(name);
    const known = this.#files.get(key);
    if (known !== undefined) return known;
    if (this.#files.size >= this.#limits.streamsMax && !this.#forgetOldest()) {
      throw resourceExhausted(
        `Open log ${quote(name)}: ${this.#limits.streamsMax} logs are open, as many as are allowed`,
        { details: [retryInfo(RETRY_MS)] },
      );
    }
    const file = new LogFile({ key, ...this.#pathsOf(key) });
    this.#files.set(key, file);
    return file;
  }

  /** Appends what there is room for; the first time something is left out, the log says so. */
  async append(file: LogFile, chunk: Uint8Array): Promise<void> {
    const { streamBytesMax, totalBytesMax } = this.#limits;
    while (this.#totalBytes + chunk.byteLength > totalBytesMax && this.#forgetOldest());
    const room = Math.min(streamBytesMax - file.sizeBytes, totalBytesMax - this.#totalBytes);
    const kept = file.isCut ? chunk.subarray(0, 0) : chunk.subarray(0, Math.max(0, room));
    this.#totalBytes += kept.byteLength;
    await file.append(kept, chunk.byteLength);
    if (kept.byteLength === chunk.byteLength || file.isCut) return;
    const notice = Buffer.from(`\n[ingot: the log is cut off here, after ${file.sizeBytes} bytes]\n`);
    this.#totalBytes += notice.byteLength;
    await file.cut(notice);
  }

  /** Ends the stream, and forgets it after a while. */
  async end(file: LogFile): Promise<void> {
    await file.enterEnded();
    if (this.#files.get(file.key) !== file) return;
    this.#files.delete(file.key);
    this.#files.set(file.key, file);
    this.#plan(file, this.#limits.endedMs, () => this.forget(file));
  }

  /** Ends the stream after a while, unless its writer comes back before. */
  endLater(file: LogFile): void {
    if (file.isAwaited || file.isEnded) return;
    this.#plan(file, this.#limits.detachedMs, () => {
      this.end(file).catch((error: unknown) => this.#failed(file, error));
    });
  }

  /** Gives up waiting for the stream after a while, unless its writer comes before. */
  awaitFirst(file: LogFile): void {
    if (file.isAwaited) this.#plan(file, this.#limits.appearMs, () => this.forget(file));
  }

  /** Removes the stream and its file. */
  forget(file: LogFile): void {
    if (this.#files.get(file.key) !== file) return;
    this.#files.delete(file.key);
    this.#totalBytes -= file.sizeBytes;
    file.enterForgotten().catch((error: unknown) => this.#failed(file, error));
  }

  /** Plans nothing from now on; the files stay. */
  close(): void {
    this.#closed = true;
    for (const file of this.#files.values()) file.keep();
  }

  #plan(file: LogFile, delayMs: number, then: () => void): void {
    if (!this.#closed) file.plan(delayMs, then);
  }

  #forgetOldest(): boolean {
    for (const file of this.#files.values()) {
      if (!file.isEnded) continue;
      this.forget(file);
      return true;
    }
    return false;
  }

  async #restore(wallNowMs: number): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const found: { readonly file: LogFile; readonly ageMs: number }[] = [];
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      const [, key, state] = FILE_NAME.exec(name) ?? [];
      const { mtimeMs, size } = await stat(path);
      const ageMs = wallNowMs - mtimeMs;
      if (key === undefined || ageMs > this.#limits.endedMs) {
        await rm(path, { recursive: true, force: true });
        continue;
      }
      const ended = state === 'ended';
      found.push({ file: new LogFile({ key, ...this.#pathsOf(key), sizeBytes: size, ended }), ageMs });
    }
    for (const { file, ageMs } of found.sort((a, b) => b.ageMs - a.ageMs)) {
      this.#files.set(file.key, file);
      this.#totalBytes += file.sizeBytes;
      if (file.isEnded) this.#plan(file, this.#limits.endedMs - Math.max(0, ageMs), () => this.forget(file));
      else this.endLater(file);
    }
  }

  #pathsOf(key: string): { readonly openPath: string; readonly endedPath: string } {
    const path = join(this.#folder, key);
    return { openPath: `${path}.open`, endedPath: `${path}.ended` };
  }

  #failed(file: LogFile, error: unknown): void {
    this.#logger.error({ log: file.key, error }, 'a log file could not be put away');
  }
}

/** Names hold slashes and are long; a file name is neither. */
function keyOf(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}
