import type { BlobStore, ByteRange } from '../../cache/blob-store.ts';
import { Digest } from '../../core/digest.ts';
import { invalidArgument, outOfRange } from '../../core/error.ts';
import { bytesOf } from '../../core/streams.ts';

/** A blob store in memory, for tests of what stands on one. Blobs can be taken away, and it can be made to fail. */
export class MemoryBlobStore implements BlobStore {
  readonly #blobs = new Map<string, Uint8Array>();
  /** Thrown by every method while set. */
  failure: Error | undefined;
  /** Digests read so far, in order. */
  readonly reads: string[] = [];

  async findMissing(digests: readonly Digest[]): Promise<Digest[]> {
    this.#check();
    const distinct = new Map(digests.map((digest) => [digest.key, digest]));
    return [...distinct.values()].filter((digest) => !digest.isEmpty && !this.#blobs.has(digest.key));
  }

  async read(digest: Digest, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined> {
    this.#check();
    this.reads.push(digest.hash);
    const bytes = digest.isEmpty ? new Uint8Array() : this.#blobs.get(digest.key);
    if (bytes === undefined) return undefined;
    const { offset = 0, limit = bytes.byteLength } = range ?? {};
    if (offset > bytes.byteLength) throw outOfRange(`offset ${offset} is past the end of ${digest}`);
    return bytesOf(bytes.slice(offset, offset + limit));
  }

  async write(digest: Digest, source: AsyncIterable<Uint8Array>): Promise<void> {
    this.#check();
    const chunks: Uint8Array[] = [];
    for await (const chunk of source) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (Digest.ofBytes(bytes, digest.digestFunction).key !== digest.key) {
      throw invalidArgument(`the bytes are not those of ${digest}`);
    }
    this.#blobs.set(digest.key, bytes);
  }

  /** Digests of everything stored, in order. */
  readonly written: Digest[] = [];

  /** Stores bytes at once. */
  put(bytes: Uint8Array): Digest {
    const digest = Digest.ofBytes(bytes);
    this.#blobs.set(digest.key, bytes.slice());
    this.written.push(digest);
    return digest;
  }

  /** Evicts a blob. */
  remove(digest: Digest): void {
    this.#blobs.delete(digest.key);
  }

  #check(): void {
    if (this.failure !== undefined) throw this.failure;
  }
}
