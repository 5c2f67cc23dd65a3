import type { BlobStore, ByteRange } from '../../cache/blob-store.ts';
import { spanOf } from '../../cache/byte-range.ts';
import { Digest } from '../../core/digest.ts';
import { invalidArgument } from '../../core/error.ts';
import { bytesOf } from '../../core/streams.ts';

/** Blobs in memory, for tests of what stands on a store; counts reads. */
export class MemoryBlobStore implements BlobStore {
  readonly blobs = new Map<string, Uint8Array>();
  reads = 0;

  constructor() {
    const empty = new Uint8Array();
    this.blobs.set(Digest.ofBytes(empty).key, empty);
  }

  async findMissing(digests: readonly Digest[]): Promise<Digest[]> {
    return digests.filter(({ key }) => !this.blobs.has(key));
  }

  async read(digest: Digest, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined> {
    this.reads += 1;
    const { start, end } = spanOf(digest, range);
    const bytes = this.blobs.get(digest.key);
    return bytes === undefined ? undefined : bytesOf(bytes.subarray(start, end));
  }

  async write(digest: Digest, source: AsyncIterable<Uint8Array>): Promise<void> {
    const bytes = Buffer.concat(await Array.fromAsync(source));
    if (Digest.ofBytes(bytes).key !== digest.key) throw invalidArgument(`Write ${digest}: other bytes`);
    this.blobs.set(digest.key, bytes);
  }
}
