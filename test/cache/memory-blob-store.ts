import type { BlobStore, ByteRange } from '../../cache/blob-store.ts';
import { spanOf } from '../../cache/blobs/byte-range.ts';
import { linkedAbort, throwIfAborted } from '../../core/abort.ts';
import { abortableSource } from '../../core/abortable-source.ts';
import { Digest } from '../../core/digest.ts';
import { invalidArgument } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';

/** Blobs in memory, for tests of what stands on a store; counts reads. It passes the same contract. */
export class MemoryBlobStore implements BlobStore {
  readonly blobs = new Map<string, Uint8Array>();
  reads = 0;

  constructor() {
    const empty = new Uint8Array();
    this.blobs.set(Digest.ofBytes(empty).key, empty);
  }

  async findMissing(digests: readonly Digest[], { signal }: IoOptions = {}): Promise<Digest[]> {
    throwIfAborted(signal);
    const distinct = [...new Map(digests.map((digest) => [digest.key, digest])).values()];
    return distinct.filter(({ key }) => !this.blobs.has(key));
  }

  async read(
    digest: Digest,
    range?: ByteRange,
    { signal }: IoOptions = {},
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    this.reads += 1;
    const { start, end } = spanOf(digest, range);
    const bytes = this.blobs.get(digest.key);
    return bytes === undefined ? undefined : pieces(bytes.subarray(start, end), signal);
  }

  async write(digest: Digest, source: AsyncIterable<Uint8Array>, { signal }: IoOptions = {}): Promise<void> {
    throwIfAborted(signal);
    using abort = linkedAbort(signal);
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of abortableSource(source, abort.signal)) {
      sizeBytes += chunk.length;
      if (sizeBytes > digest.sizeBytes) {
        throw invalidArgument(`Write ${digest}: more than ${digest.sizeBytes} bytes arrived`);
      }
      chunks.push(chunk);
    }
    const bytes = Buffer.concat(chunks);
    const seen = Digest.ofBytes(bytes);
    if (seen.key !== digest.key) throw invalidArgument(`Write ${digest}: the bytes that arrived are ${seen}`);
    this.blobs.set(digest.key, bytes);
  }
}

async function* pieces(bytes: Uint8Array, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += 100_000) {
    throwIfAborted(signal);
    yield bytes.subarray(start, start + 100_000);
  }
}
