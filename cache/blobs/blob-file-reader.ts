import type { BigIntStats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Digest } from '../../core/digest.ts';
import { fileError, systemCodeOf } from '../../core/file-error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { KeyedMutex } from '../../core/keyed-mutex.ts';
import { bytesOf } from '../../core/streams.ts';
import type { ByteRange } from '../blob-store.ts';
import type { BlobFileLayout } from './blob-file-layout.ts';
import { BlobFileRead, readFully } from './blob-file-read.ts';
import { type ByteSpan, spanOf } from './byte-range.ts';
import { digestOfFile } from './digest-of-file.ts';
import { OpenReads, READ_CHUNK_BYTES_MIN } from './open-reads.ts';
import type { Quarantine } from './quarantine.ts';
import { VerifiedFiles } from './verified-files.ts';

/** What a {@link BlobFileReader} depends on. */
export interface BlobFileReaderDependencies {
  readonly layout: BlobFileLayout;
  readonly quarantine: Quarantine;
  /** Renames to and from a blob's place, by path, exclude each other. */
  readonly places: KeyedMutex;
  /** Called when a damaged file was taken away. */
  readonly onExpelled: (digest: Digest) => void;
}

/**
 * The reading half of BlobFiles. No byte of a damaged file passes for a blob: a whole blob is hashed as it
 * is read, one of which a part is read is hashed before, unless this very file was hashed since start.
 */
export class BlobFileReader {
  readonly #layout: BlobFileLayout;
  readonly #quarantine: Quarantine;
  readonly #places: KeyedMutex;
  readonly #onExpelled: (digest: Digest) => void;
  readonly #verified = new VerifiedFiles();
  readonly #reads = new OpenReads();

  constructor({ layout, quarantine, places, onExpelled }: BlobFileReaderDependencies) {
    this.#layout = layout;
    this.#quarantine = quarantine;
    this.#places = places;
    this.#onExpelled = onExpelled;
  }

  /** As {@link BlobStore.read}. */
  async read(
    digest: Digest,
    range: ByteRange | undefined,
    options: IoOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const span = spanOf(digest, range);
    let handle: FileHandle | undefined;
    try {
      handle = await openOrAbsent(this.#layout.blobPath(digest));
      if (handle === undefined) return undefined;
      if (digest.sizeBytes <= READ_CHUNK_BYTES_MIN) return await this.#readSmall(digest, span, handle);
      const read = await this.#readLarge(digest, span, { handle, ...options });
      // The read closes it.
      if (read !== undefined) handle = undefined;
      return read;
    } catch (error) {
      throw fileError(error, `Read ${digest}`);
    } finally {
      await handle?.close();
    }
  }

  /** Hashes the file, also one that was right before; false when it is damaged, and taken away unless it is to be kept. */
  async check(digest: Digest, { keep = false }: { readonly keep?: boolean }): Promise<boolean> {
    const path = this.#layout.blobPath(digest);
    const handle = await openOrAbsent(path);
    if (handle === undefined) return true;
    try {
      const stats = await handle.stat({ bigint: true });
      const seen = await digestOfFile(handle, digest.digestFunction);
      if (seen.key === digest.key) {
        this.#verified.add(path, stats);
        return true;
      }
      if (keep) return false;
      await this.#takeAway(digest, seen, stats);
      return false;
    } catch (error) {
      throw fileError(error, `Check ${digest}`);
    } finally {
      await handle.close();
    }
  }

  /** Small blobs are read and checked whole, so that a damaged one is absent before a byte is sent. */
  async #readSmall(
    digest: Digest,
    { start, end }: ByteSpan,
    handle: FileHandle,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    // One byte more shows a file that is too long.
    const buffer = Buffer.allocUnsafeSlow(digest.sizeBytes + 1);
    const bytes = buffer.subarray(0, await readFully(handle, buffer, 0));
    if (Digest.ofBytes(bytes, digest.digestFunction).key !== digest.key) {
      await this.#expel(digest, handle);
      return undefined;
    }
    return bytesOf(bytes.subarray(start, end));
  }

  async #readLarge(
    digest: Digest,
    span: ByteSpan,
    { handle, signal }: IoOptions & { readonly handle: FileHandle },
  ): Promise<BlobFileRead | undefined> {
    const path = this.#layout.blobPath(digest);
    const stats = await handle.stat({ bigint: true });
    const sizeIsRight = stats.size === BigInt(digest.sizeBytes);
    if (sizeIsRight && this.#verified.has(path, stats)) {
      return new BlobFileRead(handle, { digest, span, signal, reads: this.#reads });
    }
    if (sizeIsRight && span.whole) {
      const check = {
        onGood: () => this.#verified.add(path, stats),
        onBad: () => this.#expel(digest, handle),
      };
      return new BlobFileRead(handle, { digest, span, signal, check, reads: this.#reads });
    }
    // A part says nothing of the whole, so the whole is hashed before the first part is handed out.
    if (!sizeIsRight || (await digestOfFile(handle, digest.digestFunction, { signal })).key !== digest.key) {
      await this.#expel(digest, handle);
      return undefined;
    }
    this.#verified.add(path, stats);
    return new BlobFileRead(handle, { digest, span, signal, reads: this.#reads });
  }

  /** Takes the file away if it is damaged. It stays when only its size is not what a client took it for. */
  async #expel(digest: Digest, handle: FileHandle): Promise<void> {
    const path = this.#layout.blobPath(digest);
    const stats = await handle.stat({ bigint: true });
    if (this.#verified.has(path, stats)) return;
    const seen = await digestOfFile(handle, digest.digestFunction);
    if (seen.hash === digest.hash) {
      this.#verified.add(path, stats);
      return;
    }
    await this.#takeAway(digest, seen, stats);
  }

  async #takeAway(digest: Digest, seen: Digest, stats: BigIntStats): Promise<void> {
    const path = this.#layout.blobPath(digest);
    const damage = { hash: digest.hash, expectedBytes: digest.sizeBytes, seen: seen.toString() };
    await this.#places.run(path, async () => {
      if (await this.#quarantine.take(path, stats, damage)) this.#onExpelled(digest);
    });
  }
}

async function openOrAbsent(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
