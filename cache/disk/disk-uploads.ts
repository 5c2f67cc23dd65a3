import { linkedAbort } from '../../core/abort.ts';
import { abortableSource } from '../../core/abortable-source.ts';
import { Digest, DigestHasher } from '../../core/digest.ts';
import { invalidArgument, toIngotError } from '../../core/error.ts';
import { fileError } from '../../core/file-error.ts';
import { giveBackOf, WholeBytes } from '../../core/streams.ts';
import type { BlobOptions, WholeBlob, WriteAllOptions, WriteOutcome } from '../blob-store.ts';
import type { IngestOptions } from '../blobs/blob-ingest.ts';
import { bytesMismatch } from '../blobs/bytes-mismatch.ts';
import { UploadRaces, type UploadRunner } from '../blobs/upload-race.ts';
import { BufferedHead } from './buffered-head.ts';
import type { DiskParts } from './disk-parts.ts';
import type { DiskRoom } from './disk-room.ts';
import { recordBytes } from './segment-record.ts';

/** What {@link DiskUploads} depend on. */
export interface DiskUploadsDependencies {
  readonly parts: DiskParts;
  readonly room: DiskRoom;
  /** Blobs up to this size are records in segments, larger ones files. */
  readonly smallBlobBytesMax: number;
}

/** Small blobs in memory on their way from streams; beyond it they are written as files, which needs none. */
const BUFFERED_BYTES_MAX = 32 * 1024 * 1024;

/** One upload: who sends what. */
interface Upload {
  readonly instance: number;
  readonly digest: Digest;
  readonly source: AsyncIterable<Uint8Array>;
}

/** Takes blobs in. Nobody gets a blob by naming it: bytes are checked to the end also when the store has them. */
export class DiskUploads {
  readonly #parts: DiskParts;
  readonly #room: DiskRoom;
  readonly #races = new UploadRaces();
  readonly #smallBlobBytesMax: number;
  #bufferedBytes = 0;

  constructor({ parts, room, smallBlobBytesMax }: DiskUploadsDependencies) {
    this.#parts = parts;
    this.#room = room;
    this.#smallBlobBytesMax = smallBlobBytesMax;
  }

  /** Stores the blob for the instance, in which it is not yet. Kept short for the many that come in one piece. */
  write(upload: Upload, options: BlobOptions): Promise<void> {
    const { instance, digest, source } = upload;
    if (!(source instanceof WholeBytes) || digest.sizeBytes > this.#smallBlobBytesMax) {
      return this.#writeStream(upload, options);
    }
    checkBytes(digest, source.bytes);
    const stored = this.#writeSmall(digest, source.bytes, instance);
    return source.onDone === undefined ? stored : stored.then(source.onDone);
  }

  /** Stores blobs for the instance, in which they are not yet: with one promise for all small ones that a commit takes. */
  async writeAll(
    instance: number,
    blobs: readonly WholeBlob[],
    options: WriteAllOptions,
  ): Promise<readonly WriteOutcome[]> {
    const outcomes: WriteOutcome[] = blobs.map(() => undefined);
    const commits = new Map<Promise<void>, number[]>();
    const others: number[] = [];
    for (const [at, { digest, bytes }] of blobs.entries()) {
      const isSmall = digest.sizeBytes <= this.#smallBlobBytesMax;
      if (!isSmall || !this.#room.hasRoom(recordBytes(bytes.byteLength))) {
        others.push(at);
        continue;
      }
      try {
        checkBytes(digest, bytes);
      } catch (error) {
        outcomes[at] = toIngotError(error);
        continue;
      }
      const commit = this.#parts.segments.write(digest, bytes, instance);
      const members = commits.get(commit);
      if (members === undefined) commits.set(commit, [at]);
      else members.push(at);
    }
    // What a commit failed with is written once more, each for itself: that makes room on a full disk.
    const retry = (members: readonly number[]) => others.push(...members);
    await Promise.all(Array.from(commits, ([commit, members]) => commit.catch(() => retry(members))));
    if (others.length === 0 && outcomes.every((error) => error === undefined)) options.onDone?.();
    await Promise.all(
      others.map(async (at) => {
        const { digest, bytes } = blobs[at] as WholeBlob;
        try {
          await this.write({ instance, digest, source: new WholeBytes(bytes) }, options);
        } catch (error) {
          outcomes[at] = toIngotError(error);
        }
      }),
    );
    return outcomes;
  }

  /** Stores bytes whose digest nobody said. */
  async ingest(
    instance: number,
    source: AsyncIterable<Uint8Array>,
    { digestFunction, bytesMax, hash, signal }: IngestOptions,
  ): Promise<Digest> {
    const what = hash ?? 'a blob';
    using abort = linkedAbort(signal);
    try {
      using loan = this.#borrow(Math.min(this.#smallBlobBytesMax, bytesMax));
      const head = new BufferedHead(abortableSource(source, abort.signal), loan.bytes);
      const bytes = await head.whole();
      if (bytes !== undefined) {
        const digest = Digest.ofBytes(bytes, digestFunction);
        if (hash !== undefined && hash !== digest.hash) throw bytesMismatch(hash, digest);
        if (!digest.isEmpty) await this.#writeSmall(digest, bytes, instance);
        return digest;
      }
      // How many will come nobody knows; what is there beyond the limit in the end is evicted.
      using _room = await this.#room.reserve(this.#smallBlobBytesMax, what);
      const { signal } = abort;
      const staging = { digestFunction, bytesMax, what, signal, onMoved: () => undefined };
      await using staged = await this.#parts.files.stage(head.rest(), staging);
      const { digest } = staged;
      if (hash !== undefined && hash !== digest.hash) throw bytesMismatch(hash, digest);
      await this.#parts.fileBlobs.commit(staged, () => false);
      await this.#parts.grant(instance, digest);
      return digest;
    } catch (error) {
      throw (await this.#room.afterFailure(error, what)) ?? fileError(error, `Write ${what}`);
    }
  }

  async #writeStream(upload: Upload, { signal }: BlobOptions): Promise<void> {
    const { instance, digest } = upload;
    // Uploads to other instances do not count: theirs do not show that this client has the bytes.
    using runner = this.#races.enter(`${instance} ${digest.key}`, { signal });
    await runner.start();
    if (runner.beaten) return;
    try {
      if (this.#parts.isStored(digest)) await this.#writeStored(upload, runner);
      else if (!(await this.#writeBuffered(upload, runner))) await this.#writeFile(upload, runner);
    } catch (error) {
      if (runner.beaten) return;
      throw (await this.#room.afterFailure(error, digest.toString())) ?? fileError(error, `Write ${digest}`);
    }
    runner.win();
  }

  /** The bytes are here already, from another instance. */
  async #writeStored({ instance, digest, source }: Upload, runner: UploadRunner): Promise<void> {
    const hasher = new DigestHasher(digest.digestFunction);
    const giveBack = giveBackOf(source);
    for await (const chunk of abortableSource(source, runner.signal)) {
      if (hasher.sizeBytes + chunk.byteLength > digest.sizeBytes) throw tooMany(digest);
      runner.moved();
      hasher.update(chunk);
      giveBack?.(chunk);
    }
    const seen = hasher.digest();
    if (!seen.equals(digest)) throw bytesMismatch(digest.toString(), seen);
    await this.#parts.grant(instance, digest);
  }

  /** Small blobs go through memory, while there is some. */
  async #writeBuffered({ instance, digest, source }: Upload, runner: UploadRunner): Promise<boolean> {
    if (digest.sizeBytes > this.#smallBlobBytesMax) return false;
    using loan = this.#borrow(digest.sizeBytes);
    if (loan.bytes < digest.sizeBytes) return false;
    const bytes = Buffer.allocUnsafe(digest.sizeBytes);
    const giveBack = giveBackOf(source);
    let filled = 0;
    for await (const chunk of abortableSource(source, runner.signal)) {
      if (filled + chunk.byteLength > digest.sizeBytes) throw tooMany(digest);
      runner.moved();
      bytes.set(chunk, filled);
      filled += chunk.byteLength;
      giveBack?.(chunk);
    }
    checkBytes(digest, bytes.subarray(0, filled));
    await this.#writeSmall(digest, bytes, instance);
    return true;
  }

  /** Of a blob in memory a write that found the disk full is tried again once there is room. */
  #writeSmall(digest: Digest, bytes: Uint8Array, instance: number): Promise<void> {
    const { segments } = this.#parts;
    const written = this.#room.hasRoom(recordBytes(bytes.byteLength))
      ? segments.write(digest, bytes, instance)
      : this.#writeReserved(digest, bytes, instance);
    return written.catch(async (error: unknown) => {
      if ((await this.#room.afterFailure(error, digest.toString())) === undefined) throw error;
      await segments.write(digest, bytes, instance);
    });
  }

  async #writeReserved(digest: Digest, bytes: Uint8Array, instance: number): Promise<void> {
    using _room = await this.#room.reserve(recordBytes(bytes.byteLength), digest.toString());
    await this.#parts.segments.write(digest, bytes, instance);
  }

  async #writeFile({ instance, digest, source }: Upload, runner: UploadRunner): Promise<void> {
    using _room = await this.#room.reserve(digest.sizeBytes, digest.toString());
    await using staged = await this.#parts.files.stage(source, {
      digestFunction: digest.digestFunction,
      bytesMax: digest.sizeBytes,
      what: digest.toString(),
      signal: runner.signal,
      onMoved: () => runner.moved(),
    });
    if (!staged.digest.equals(digest)) throw bytesMismatch(digest.toString(), staged.digest);
    await this.#parts.fileBlobs.commit(staged, () => runner.beaten);
    if (!runner.beaten) await this.#parts.grant(instance, digest);
  }

  /** Memory for a blob; 0 bytes of it when too many have some. */
  #borrow(bytes: number): Disposable & { readonly bytes: number } {
    const granted = this.#bufferedBytes + bytes > BUFFERED_BYTES_MAX ? 0 : bytes;
    this.#bufferedBytes += granted;
    return {
      bytes: granted,
      [Symbol.dispose]: () => {
        this.#bufferedBytes -= granted;
      },
    };
  }
}

function checkBytes(digest: Digest, bytes: Uint8Array): void {
  if (bytes.byteLength > digest.sizeBytes) throw tooMany(digest);
  const seen = Digest.ofBytes(bytes, digest.digestFunction);
  if (!seen.equals(digest)) throw bytesMismatch(digest.toString(), seen);
}

function tooMany(digest: Digest) {
  return invalidArgument(`Write ${digest}: more than ${digest.sizeBytes} bytes arrived`);
}
