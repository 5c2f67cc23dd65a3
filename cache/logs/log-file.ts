import assert from 'node:assert/strict';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { untilAborted } from '../../core/abort.ts';
import { notFound, outOfRange } from '../../core/error.ts';
import { startTimer } from '../../core/timer.ts';

/** Bytes of one read. */
const READ_CHUNK_BYTES = 64 * 1024;

/** What a {@link LogFile} is made of. */
export interface LogFileOptions {
  /** Tells the streams of a folder apart. */
  readonly key: string;
  /** Where the bytes are while more may come. */
  readonly openPath: string;
  /** Where they are after the end. */
  readonly endedPath: string;
  /** What is there already, of an earlier process. */
  readonly sizeBytes?: number;
  readonly ended?: boolean;
}

/**
 * The bytes of one log stream in a file. States: awaited (nothing was written yet), written (a writer is at work),
 * left (its writer is gone and may come back), ended, forgotten (the file is gone; readers at work finish).
 */
export class LogFile {
  readonly key: string;
  readonly #openPath: string;
  readonly #endedPath: string;
  readonly #waiting = new Set<() => void>();
  #sizeBytes: number;
  #deliveredBytes: number;
  #handle: FileHandle | undefined;
  #awaited: boolean;
  #written = false;
  #ended: boolean;
  #forgotten = false;
  #cut = false;
  #readers = 0;
  #cancelTimer: (() => void) | undefined;

  constructor({ key, openPath, endedPath, sizeBytes, ended = false }: LogFileOptions) {
    this.key = key;
    this.#openPath = openPath;
    this.#endedPath = endedPath;
    this.#awaited = sizeBytes === undefined;
    this.#sizeBytes = sizeBytes ?? 0;
    this.#deliveredBytes = this.#sizeBytes;
    this.#ended = ended;
  }

  /** Bytes in the file. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Bytes its writers have delivered, those not kept included. */
  get deliveredBytes(): number {
    return this.#deliveredBytes;
  }

  get isAwaited(): boolean {
    return this.#awaited;
  }

  get isWritten(): boolean {
    return this.#written;
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  /** Some bytes were left out, and none are kept any more. */
  get isCut(): boolean {
    return this.#cut;
  }

  get hasReaders(): boolean {
    return this.#readers > 0;
  }

  /** Does this after a while, unless something else is planned or a writer comes before. */
  plan(delayMs: number, then: () => void): void {
    this.#cancelTimer?.();
    this.#cancelTimer = startTimer(delayMs, then);
  }

  /** Cancels what was planned. */
  keep(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** From awaited or left. */
  async enterWritten(): Promise<void> {
    assert(!this.#ended && !this.#written, 'a log has one writer, and none after its end');
    this.#written = true;
    this.keep();
    this.#handle = await open(this.#openPath, 'a');
    this.#awaited = false;
  }

  /** Keeps these bytes of so many that were delivered. */
  async append(bytes: Uint8Array, deliveredBytes: number): Promise<void> {
    await this.#append(bytes);
    this.#deliveredBytes += deliveredBytes;
  }

  /** Adds a last word; nothing is kept after it. */
  async cut(notice: Uint8Array): Promise<void> {
    this.#cut = true;
    await this.#append(notice);
  }

  /** From written. */
  async enterLeft(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    this.#written = false;
    await handle?.close();
  }

  /** From left. */
  async enterEnded(): Promise<void> {
    assert(!this.#awaited && !this.#written, 'a log ends when its writer is done');
    if (this.#ended || this.#forgotten) return;
    this.#ended = true;
    this.keep();
    await rename(this.#openPath, this.#endedPath);
    this.#wake();
  }

  /** From any state but written. */
  async enterForgotten(): Promise<void> {
    this.keep();
    this.#forgotten = true;
    this.#wake();
    await rm(this.#ended ? this.#endedPath : this.#openPath, { force: true });
  }

  /** The bytes from `offset` on, and those to come, until the end. */
  async *read(offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    let handle: FileHandle | undefined;
    let position = offset;
    this.#readers += 1;
    try {
      for (;;) {
        if (position < this.#sizeBytes) {
          handle ??= await this.#openForReading();
          const length = Math.min(READ_CHUNK_BYTES, this.#sizeBytes - position);
          const { bytesRead, buffer } = await handle.read(
            Buffer.allocUnsafeSlow(length),
            0,
            length,
            position,
          );
          position += bytesRead;
          yield buffer.subarray(0, bytesRead);
        } else if (this.#ended || this.#forgotten) {
          if (this.#awaited) throw notFound('nothing was written to the log');
          if (position === this.#sizeBytes) return;
          throw outOfRange(`offset ${offset} is behind the ${this.#sizeBytes} bytes of the log`);
        } else {
          await this.#change(signal);
        }
      }
    } finally {
      this.#readers -= 1;
      await handle?.close();
    }
  }

  /** The file moves when the log ends, and goes when it is forgotten, maybe between the look and the opening. */
  async #openForReading(): Promise<FileHandle> {
    const path = this.#ended ? this.#endedPath : this.#openPath;
    try {
      return await open(path, 'r');
    } catch (error) {
      if (this.#forgotten) throw notFound('the log is not kept any more');
      if (this.#ended && path === this.#openPath) return open(this.#endedPath, 'r');
      throw error;
    }
  }

  async #append(bytes: Uint8Array): Promise<void> {
    assert(this.#handle !== undefined, 'a log is appended to by its writer');
    if (bytes.byteLength === 0) return;
    await this.#handle.appendFile(bytes);
    this.#sizeBytes += bytes.byteLength;
    this.#wake();
  }

  async #change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    try {
      await untilAborted(promise, signal);
    } finally {
      this.#waiting.delete(resolve);
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}
