import type { FileHandle } from 'node:fs/promises';
import { abortReason } from '../../core/abort.ts';
import { type Digest, DigestHasher } from '../../core/digest.ts';
import { dataLoss } from '../../core/error.ts';
import { fileError } from '../../core/file-error.ts';
import { messageMemory } from '../../core/message-memory.ts';
import type { Reusing } from '../../core/streams.ts';
import type { ByteSpan } from './byte-range.ts';
import type { OpenRead, OpenReads } from './open-reads.ts';

/** What a {@link BlobFileRead} is made of. */
export interface BlobFileReadOptions {
  readonly digest: Digest;
  readonly span: ByteSpan;
  /** Which this read is one of until it is closed. */
  readonly reads: OpenReads;
  readonly signal?: AbortSignal | undefined;
  /** Set for a whole blob whose file is not known to be right. */
  readonly check?: BlobCheck | undefined;
}

/** Who wants to know how the check of a whole blob ended. */
export interface BlobCheck {
  onGood(): void;
  onBad(): Promise<void>;
}

/**
 * The bytes of a blob's open file. It owns the file: it is closed at the end, at an error, by `return` (which a
 * `for await` calls when it is left early) and when the signal aborts. With a check the last chunk is withheld
 * until the hash is known to be right; DATA_LOSS otherwise.
 */
export class BlobFileRead implements AsyncIterableIterator<Uint8Array, undefined>, Reusing {
  readonly #handle: FileHandle;
  readonly #options: BlobFileReadOptions;
  readonly #hasher: DigestHasher | undefined;
  readonly #read: OpenRead;
  #position: number;
  #closing: Promise<void> | undefined;

  constructor(handle: FileHandle, options: BlobFileReadOptions) {
    this.#handle = handle;
    this.#options = options;
    this.#position = options.span.start;
    this.#read = options.reads.begin();
    if (options.check !== undefined) this.#hasher = new DigestHasher(options.digest.digestFunction);
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal?.aborted) this.#onAbort();
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const { signal, span } = this.#options;
    if (signal?.aborted) throw abortReason(signal);
    if (this.#closing !== undefined || this.#position >= span.end) return this.return();
    try {
      const value = await this.#chunk();
      if (this.#position >= span.end) await this.#close();
      return { done: false, value };
    } catch (error) {
      await this.#close();
      if (signal?.aborted) throw abortReason(signal);
      throw fileError(error, `Read ${this.#options.digest}`);
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    await this.#close();
    return { done: true, value: undefined };
  }

  giveBack(chunk: Uint8Array): void {
    messageMemory.giveBack(chunk);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #chunk(): Promise<Uint8Array> {
    const { digest, span, check } = this.#options;
    const length = Math.min(this.#read.takeChunk(), span.end - this.#position);
    const buffer = messageMemory.take(length);
    const bytesRead = await readFully(this.#handle, buffer, this.#position);
    if (bytesRead < length) {
      await check?.onBad();
      throw dataLoss(`Read ${digest}: the file ends after ${this.#position + bytesRead} bytes`);
    }
    this.#position += length;
    this.#hasher?.update(buffer);
    if (this.#hasher !== undefined && check !== undefined && this.#position === span.end) {
      const { hash } = this.#hasher.digest();
      if (hash !== digest.hash) {
        await check.onBad();
        throw dataLoss(`Read ${digest}: the file's bytes have the hash ${hash}`);
      }
      check.onGood();
    }
    return buffer;
  }

  #onAbort = (): void => {
    this.#close().catch(() => {
      // Whoever waits in next() learns of it there; a file open for reading has nothing to lose by a failed close.
    });
  };

  #close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    if (this.#closing === undefined) {
      this.#read[Symbol.dispose]();
      this.#closing = this.#handle.close();
    }
    return this.#closing;
  }
}

/** Fills the buffer from the position on; returns how much there was, less than the buffer only at the file's end. */
export async function readFully(handle: FileHandle, buffer: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
