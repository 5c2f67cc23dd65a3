import { rm, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { CuttingBlobSplitter } from '../../../cache/chunking/cutting-blob-splitter.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { readAll, sampleBytes } from '../bytes.ts';
import { cut, openChunkedStore } from './chunked-store.ts';

const MIB = 1024 * 1024;

describe('CuttingBlobSplitter', () => {
  it('brings a chunk back out of the whole when it was evicted', async () => {
    await using opened = await openChunkedStore();
    const { lists, store } = opened;
    const splitter = new CuttingBlobSplitter({ lists });
    const bytes = sampleBytes(4 * MIB, 1);
    const { digest, chunks } = await cut(bytes);
    await store.write(digest, bytesOf(bytes));
    await splitter.split(digest, store);
    for (const index of [0, 2]) await opened.lose(chunks[index]?.digest);
    const list = await splitter.split(digest, store);
    expect(list?.chunks.map(String)).toEqual(chunks.map((chunk) => chunk.digest.toString()));
    for (const chunk of chunks) {
      expect((await readAll(opened.files, chunk.digest))?.equals(chunk.bytes)).toBe(true);
    }
  });

  it('knows nothing of a blob whose chunk is gone and which is nowhere as a whole', async () => {
    await using opened = await openChunkedStore();
    const { digest, chunks } = await opened.splice(sampleBytes(4 * MIB, 2));
    await opened.lose(chunks[1]?.digest);
    expect(await new CuttingBlobSplitter(opened).split(digest, opened.store)).toBeUndefined();
  });

  it('files no list for a damaged blob', async () => {
    await using opened = await openChunkedStore();
    const bytes = sampleBytes(4 * MIB, 3);
    const { digest } = await cut(bytes);
    await opened.store.write(digest, bytesOf(bytes));
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(3 * MIB) ^ 1, 3 * MIB);

    await rm(opened.pathOf(digest));
    await writeFile(opened.pathOf(digest), damaged);
    const splitter = new CuttingBlobSplitter(opened);
    await expect(splitter.split(digest, opened.store)).rejects.toMatchObject({ code: Code.DATA_LOSS });
    expect(opened.lists.has(digest)).toBe(false);
    expect(await splitter.split(digest, opened.store)).toBeUndefined();
  });
});
