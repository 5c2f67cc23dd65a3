import { readFile, rm, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ChunkedBlobLookup } from '../../../cache/chunking/chunked-blob-lookup.ts';
import { ChunkedBytes } from '../../../cache/chunking/chunked-bytes.ts';
import { ChunkingBlobStore } from '../../../cache/chunking/chunking-blob-store.ts';
import { announcedFastCdcParams } from '../../../cache/chunking/fast-cdc-params.ts';
import { LevelChunkLists } from '../../../cache/chunking/level-chunk-lists.ts';
import { Digest } from '../../../core/digest.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { blobStoreContract } from '../blob-store-contract.ts';
import { inPieces, readAll, sampleBlob, sampleBytes } from '../bytes.ts';
import { openChunkedStore } from './chunked-store.ts';

const MIB = 1024 * 1024;

blobStoreContract('ChunkedBlobStore', openChunkedStore);
blobStoreContract('ChunkingBlobStore on ChunkedBlobStore', async () => {
  const opened = await openChunkedStore();
  return {
    store: new ChunkingBlobStore({ inner: opened.store, params: async () => announcedFastCdcParams }),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
});

describe('ChunkedBlobStore', () => {
  it('has a spliced blob without storing its bytes again', async () => {
    await using opened = await openChunkedStore();
    const bytes = sampleBytes(5 * MIB, 1);
    const { digest, chunks } = await opened.splice(bytes);
    expect(chunks.length).toBeGreaterThan(3);
    expect(await opened.store.findMissing([digest])).toEqual([]);
    expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
    expect(await opened.files.findMissing([digest])).toEqual([digest]);
  });

  it('gives every range over the borders of chunks', async () => {
    await using opened = await openChunkedStore();
    const bytes = sampleBytes(3 * MIB, 2);
    const { digest, chunks } = await opened.splice(bytes);
    const border = chunks[0]?.bytes.byteLength ?? 0;
    for (const [offset, limit] of [
      [0, border],
      [border - 1, 2],
      [border, 1],
      [border, undefined],
      [1, 3 * MIB],
      [3 * MIB, undefined],
      [3 * MIB - 1, 7],
    ] as const) {
      const expected = bytes.subarray(offset, limit === undefined ? undefined : offset + limit);
      const seen = await readAll(opened.store, digest, { offset, limit });
      expect(seen?.equals(expected), `offset ${offset}, limit ${limit}`).toBe(true);
    }
  });

  it('keeps lists over a restart', async () => {
    await using opened = await openChunkedStore();
    const { digest, list } = await opened.splice(sampleBytes(3 * MIB, 3));
    const again = await LevelChunkLists.open({ records: opened.records });
    expect(again.has(digest)).toBe(true);
    expect(again.has(Digest.of(digest.hash, digest.sizeBytes + 1))).toBe(false);
    expect((await again.get(digest))?.chunks.map(String)).toEqual(list.chunks.map(String));
  });

  it('misses a blob when any one of its chunks is gone, and has it again with the chunk', async () => {
    await using opened = await openChunkedStore();
    const bytes = sampleBytes(3 * MIB, 4);
    const { digest, chunks } = await opened.splice(bytes);
    for (const chunk of chunks) {
      await opened.lose(chunk.digest);
      expect(await opened.store.findMissing([digest, digest])).toEqual([digest]);
      expect(await readAll(opened.store, digest)).toBeUndefined();
      expect(await readAll(opened.store, digest, { offset: digest.sizeBytes })).toBeUndefined();
      await opened.store.write(chunk.digest, bytesOf(chunk.bytes));
      expect(await opened.store.findMissing([digest])).toEqual([]);
    }
    expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
  });

  it('ends a read with DATA_LOSS at a damaged chunk, misses the blob, and is healed by an upload', async () => {
    await using opened = await openChunkedStore();
    const bytes = sampleBytes(6 * MIB, 5);
    const { digest, chunks } = await opened.splice(bytes);
    const bad = chunks.at(-1)?.digest as Digest;
    await flipLastBit(opened.pathOf(bad));

    const source = await opened.store.read(digest);
    const seen: Uint8Array[] = [];
    await expect(async () => {
      for await (const chunk of source ?? []) seen.push(chunk);
    }).rejects.toMatchObject({ code: Code.DATA_LOSS });
    const sent = Buffer.concat(seen);
    expect(sent.equals(bytes.subarray(0, sent.byteLength))).toBe(true);
    expect(sent.byteLength).toBeLessThan(bytes.byteLength);
    expect(await opened.store.findMissing([digest])).toEqual([digest]);

    await opened.store.write(digest, inPieces(bytes, 100_000));
    expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
  });

  it('refuses a list of chunks that are another blob, and keeps nothing of it', async () => {
    await using opened = await openChunkedStore();
    const { list } = await opened.splice(sampleBytes(3 * MIB, 6));
    const { digest } = sampleBlob(3 * MIB, 7);
    const seen = sampleBlob(3 * MIB, 6).digest;
    await expect(opened.store.write(digest, new ChunkedBytes(list, opened.store))).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `Write ${digest}: the bytes that arrived are ${seen}`,
    });
    expect(opened.lists.has(digest)).toBe(false);
    expect(await opened.store.findMissing([digest])).toEqual([digest]);
  });

  it('stores a blob as a whole when one of its chunks is itself there as chunks only', async () => {
    await using opened = await openChunkedStore();
    const first = sampleBytes(3 * MIB, 8);
    const inner = await opened.splice(first);
    const tail = sampleBlob(1000, 9);
    await opened.store.write(tail.digest, bytesOf(tail.bytes));
    const whole = Buffer.concat([first, tail.bytes]);
    const digest = Digest.ofBytes(whole);
    const list = { chunks: [inner.digest, tail.digest], chunkingFunction: 0 as const };
    await opened.store.write(digest, new ChunkedBytes(list, opened.store));
    expect(opened.lists.has(digest)).toBe(false);
    expect((await readAll(opened.files, digest))?.equals(whole)).toBe(true);
  });

  it('never serves a wrong list: the read ends with DATA_LOSS and the list is dropped', async () => {
    await using opened = await openChunkedStore();
    const { list } = await opened.splice(sampleBytes(3 * MIB, 10));
    const { digest } = sampleBlob(3 * MIB, 11);
    await opened.lists.put(digest, list);
    await expect(readAll(opened.store, digest)).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message: `Read ${digest}: its bytes have the hash ${sampleBlob(3 * MIB, 10).digest.hash}`,
    });
    expect(await opened.store.findMissing([digest])).toEqual([digest]);
  });

  it('reads the whole where there is one and a chunk of its list is gone', async () => {
    await using opened = await openChunkedStore();
    const bytes = sampleBytes(3 * MIB, 12);
    const { digest, chunks } = await opened.splice(bytes);
    await opened.files.write(digest, bytesOf(bytes));
    await opened.lose(chunks[1]?.digest);
    expect(await opened.store.findMissing([digest])).toEqual([]);
    expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
  });

  it('asks once for each of many blobs and chunks, and names what is missing once', async () => {
    await using opened = await openChunkedStore();
    const blobs = await Promise.all([20, 21, 22].map((seed) => opened.splice(sampleBytes(3 * MIB, seed))));
    const absent = sampleBlob(3 * MIB, 23).digest;
    const gone = blobs[1]?.chunks[0]?.digest as Digest;
    await opened.lose(gone);
    const asked = [...blobs.map(({ digest }) => digest), absent, gone, absent];
    const missing = await opened.store.findMissing(asked);
    expect(missing.map(String).toSorted()).toEqual([blobs[1]?.digest, absent, gone].map(String).toSorted());
  });

  it('finds a spliced blob by its hash alone, while it is there', async () => {
    await using opened = await openChunkedStore();
    const { digest, chunks } = await opened.splice(sampleBytes(3 * MIB, 30));
    const { files, lists, store } = opened;
    const lookup = new ChunkedBlobLookup({ inner: files, lists, blobStore: store });
    expect(String(await lookup.find(digest))).toBe(String(digest));
    expect(
      await lookup.find({ ...digest, hash: sampleBlob(9, 9).digest.hash, digestFunction: 1 }),
    ).toBeUndefined();
    await opened.lose(chunks[0]?.digest);
    expect(await lookup.find(digest)).toBeUndefined();
  });
});

async function flipLastBit(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await rm(path);
  await writeFile(path, bytes);
}
