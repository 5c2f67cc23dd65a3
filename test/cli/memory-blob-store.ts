import type { BlobStore, ByteRange } from '../../cache/blob-store.ts';
import { Digest } from '../../core/digest.ts';
import { invalidArgument } from '../../core/error.ts';
import { bytesOf, collectBytes } from '../../core/streams.ts';

/** A BlobStore in memory that counts what is asked of it; `damage` makes it hand out other bytes. */
export class MemoryBlobStore implements BlobStore {
  readonly blobs = new Map<string, Buffer>();
  readonly written: string[] = [];

  add(bytes: Uint8Array | string): Digest {
    const buffer = Buffer.from(bytes);
    const digest = Digest.ofBytes(buffer);
    this.blobs.set(digest.key, buffer);
    return digest;
  }

  damage(digest: Digest, bytes: string): void {
    this.blobs.set(digest.key, Buffer.from(bytes));
  }

  async findMissing(digests: readonly Digest[]): Promise<Digest[]> {
    const unique = new Map(digests.map((digest) => [digest.key, digest]));
    return [...unique.values()].filter((digest) => !digest.isEmpty && !this.blobs.has(digest.key));
  }

  async read(digest: Digest, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined> {
    if (digest.isEmpty) return bytesOf();
    const bytes = this.blobs.get(digest.key);
    return bytes && bytesOf(bytes.subarray(range?.offset ?? 0));
  }

  async write(digest: Digest, source: AsyncIterable<Uint8Array>): Promise<void> {
    const bytes = await collectBytes(source, { bytesMax: 2 ** 26, what: 'blob' });
    if (Digest.ofBytes(bytes).key !== digest.key) throw invalidArgument(`blob ${digest}: other bytes came`);
    this.written.push(digest.hash);
    this.blobs.set(digest.key, bytes);
  }
}
