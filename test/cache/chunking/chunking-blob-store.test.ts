import { describe, expect, it } from 'vitest';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { ChunkedBytes } from '../../../cache/chunking/chunked-bytes.ts';
import { ChunkingBlobStore } from '../../../cache/chunking/chunking-blob-store.ts';
import { announcedFastCdcParams } from '../../../cache/chunking/fast-cdc-params.ts';
import { restartableSource } from '../../../cache/remote/restartable-source.ts';
import type { Digest } from '../../../core/digest.ts';
import { notFound } from '../../../core/error.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { inPieces, readAll, sampleBlob, sampleBytes } from '../bytes.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';
import { cut } from './chunked-store.ts';

const MIB = 1024 * 1024;

/** Takes lists as a server does, from which `forget` removes chunks before it looks; notes what was written. */
class ListingStore extends MemoryBlobStore {
  readonly written: string[] = [];
  readonly lists: ChunkedBytes[] = [];
  forget: ((list: ChunkedBytes) => readonly Digest[]) | undefined;

  override async write(digest: Digest, source: AsyncIterable<Uint8Array>): Promise<void> {
    if (!(source instanceof ChunkedBytes)) {
      this.written.push(digest.key);
      await super.write(digest, source);
      return;
    }
    for (const chunk of this.forget?.(source) ?? []) this.blobs.delete(chunk.key);
    const missing = await this.findMissing(source.list.chunks);
    if (missing.length > 0) throw notFound(`${missing.length} chunks are not here`);
    this.lists.push(source);
    await super.write(digest, source);
  }
}

function chunking(
  inner: BlobStore,
  params: typeof announcedFastCdcParams | undefined = announcedFastCdcParams,
) {
  return new ChunkingBlobStore({ inner, params: async () => params });
}

describe('ChunkingBlobStore', () => {
  it('sends only the chunks that the store lacks', async () => {
    const inner = new ListingStore();
    const first = sampleBytes(4 * MIB, 1);
    await chunking(inner).write((await cut(first)).digest, inPieces(first, 70_000));
    const before = inner.written.length;
    const second = Buffer.concat([Buffer.from('a few bytes more in front'), first]);
    const { digest, chunks } = await cut(second);
    await chunking(inner).write(digest, inPieces(second, 70_000));
    expect(before).toBeGreaterThan(4);
    expect(inner.written.length - before).toBeLessThanOrEqual(2);
    expect(inner.lists[1]?.list).toEqual({
      chunks: chunks.map((chunk) => chunk.digest),
      chunkingFunction: 1,
    });
    expect((await readAll(inner, digest))?.equals(second)).toBe(true);
  });

  it('sends a chunk that is there many times in a blob once', async () => {
    const inner = new ListingStore();
    const zeros = Buffer.alloc(9 * MIB);
    await chunking(inner).write((await cut(zeros)).digest, inPieces(zeros, 100_000));
    // Chunks of the maximum, and a shorter one at the end.
    expect(inner.written).toHaveLength(2);
    expect(inner.lists[0]?.list.chunks).toHaveLength(5);
  });

  it('leaves alone what is small, what is in chunks already, and stores that know nothing of chunks', async () => {
    const small = sampleBlob(2 * MIB - 1, 2);
    const large = sampleBlob(3 * MIB, 3);
    const inner = new ListingStore();
    await chunking(inner).write(small.digest, bytesOf(small.bytes));
    await new ChunkingBlobStore({ inner, params: async () => undefined }).write(
      large.digest,
      bytesOf(large.bytes),
    );
    expect(inner.written).toEqual([small.digest.key, large.digest.key]);
    const { chunks } = await cut(large.bytes);
    for (const chunk of chunks) await inner.write(chunk.digest, bytesOf(chunk.bytes));
    const bytes = new ChunkedBytes(
      { chunks: chunks.map((chunk) => chunk.digest), chunkingFunction: 0 },
      inner,
    );
    await chunking(inner).write(large.digest, bytes);
    expect(inner.lists).toEqual([bytes]);
  });

  it('sends chunks again that the store forgot before it had all', async () => {
    const inner = new ListingStore();
    const bytes = sampleBytes(4 * MIB, 4);
    const { digest, chunks } = await cut(bytes);
    let times = 0;
    inner.forget = ({ list }) => {
      times += 1;
      return times <= 2 ? list.chunks.slice(0, 2) : [];
    };
    const source = restartableSource((offset) => inPieces(bytes.subarray(offset)));
    await chunking(inner).write(digest, source);
    expect(times).toBe(3);
    expect(inner.written).toHaveLength(chunks.length + 4);
    expect((await readAll(inner, digest))?.equals(bytes)).toBe(true);
  });

  it('gives up as UNAVAILABLE when chunks do not stay, or the bytes cannot be had again', async () => {
    const inner = new ListingStore();
    const bytes = sampleBytes(3 * MIB, 5);
    const { digest } = await cut(bytes);
    let times = 0;
    inner.forget = ({ list }) => {
      times += 1;
      return list.chunks.slice(0, 1);
    };
    const gone = {
      code: Code.UNAVAILABLE,
      message: `Write ${digest}: its chunks do not stay (1 chunks are not here)`,
    };
    const source = restartableSource((offset) => inPieces(bytes.subarray(offset)));
    await expect(chunking(inner).write(digest, source)).rejects.toMatchObject(gone);
    expect(times).toBe(3);
    await expect(chunking(inner).write(digest, inPieces(bytes))).rejects.toMatchObject(gone);
    expect(times).toBe(4);
  });

  it('ends with the error of a chunk that could not be stored, and asks its source for no more', async () => {
    const bytes = sampleBytes(40 * MIB, 6);
    const { digest } = await cut(bytes);
    const inner = new ListingStore();
    inner.write = async () => {
      throw notFound('the store is not itself');
    };
    let taken = 0;
    async function* source() {
      for await (const piece of inPieces(bytes, 100_000)) {
        taken += piece.byteLength;
        yield piece;
      }
    }
    await expect(chunking(inner).write(digest, source())).rejects.toMatchObject({
      message: 'the store is not itself',
    });
    expect(taken).toBeLessThan(30 * MIB);
  });
});
