import { describe, expect, it } from 'vitest';
import { LevelRecords } from '../../../cache/actions/level-records.ts';
import { ChunkedBlobStore } from '../../../cache/chunking/chunked-blob-store.ts';
import { ChunkingBlobStore } from '../../../cache/chunking/chunking-blob-store.ts';
import { CuttingBlobSplitter } from '../../../cache/chunking/cutting-blob-splitter.ts';
import { announcedFastCdcParams } from '../../../cache/chunking/fast-cdc-params.ts';
import { LevelChunkLists } from '../../../cache/chunking/level-chunk-lists.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf } from '../../../core/streams.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { inPieces, readAll, sampleBlob, sampleBytes } from '../bytes.ts';
import { openDiskStore } from '../disk/open-disk-store.ts';
import { cut } from './chunked-store.ts';

const MIB = 1024 * 1024;

/** The store of the cache, with chunk lists over it, as each instance sees it. */
async function openInstances(options: Parameters<typeof openDiskStore>[0] = {}) {
  const disk = await openDiskStore(options);
  const folder = await tempFolder();
  const records = await LevelRecords.open({ folder: folder.path, logger: silentLogger });
  const lists = await LevelChunkLists.open({ records });
  return {
    lists,
    disk,
    splitter: new CuttingBlobSplitter({ lists }),
    of: (instanceName: string) => new ChunkedBlobStore({ inner: disk.disk.forInstance(instanceName), lists }),
    async [Symbol.asyncDispose]() {
      await records.close();
      await folder[Symbol.asyncDispose]();
      await disk[Symbol.asyncDispose]();
    },
  };
}

function clientOf(store: ChunkedBlobStore) {
  return new ChunkingBlobStore({ inner: store, params: async () => announcedFastCdcParams });
}

describe('chunked blobs of several instances', () => {
  it('are there where all their chunks are, and nowhere else', async () => {
    await using instances = await openInstances();
    const bytes = sampleBytes(4 * MIB, 1);
    const { digest, chunks } = await cut(bytes);
    await clientOf(instances.of('a')).write(digest, inPieces(bytes, 100_000));
    const other = instances.of('b');
    expect(await other.findMissing([digest])).toEqual([digest]);
    expect(await readAll(other, digest)).toBeUndefined();
    expect(await instances.splitter.split(digest, other)).toBeUndefined();

    for (const chunk of chunks.slice(1)) await other.write(chunk.digest, bytesOf(chunk.bytes));
    expect(await other.findMissing([digest])).toEqual([digest]);
    for (const chunk of chunks.slice(0, 1)) await other.write(chunk.digest, bytesOf(chunk.bytes));
    expect(await other.findMissing([digest])).toEqual([]);
    expect((await readAll(other, digest))?.equals(bytes)).toBe(true);
  });

  it('can be uploaded whole to another, and split there into chunks which it may read then', async () => {
    await using instances = await openInstances();
    const bytes = sampleBytes(4 * MIB, 2);
    const { digest, chunks } = await cut(bytes);
    await clientOf(instances.of('a')).write(digest, inPieces(bytes, 100_000));
    const other = instances.of('b');
    await other.write(digest, inPieces(bytes, 100_000));
    expect((await readAll(other, digest))?.equals(bytes)).toBe(true);
    expect(await other.findMissing(chunks.map((chunk) => chunk.digest))).toHaveLength(chunks.length);

    const list = await instances.splitter.split(digest, other);
    expect(list?.chunks.map(String)).toEqual(chunks.map((chunk) => chunk.digest.toString()));
    for (const chunk of chunks) {
      expect((await readAll(other, chunk.digest))?.equals(chunk.bytes)).toBe(true);
    }
  });

  it('take no other bytes for the blob because another instance has it', async () => {
    await using instances = await openInstances();
    const { digest, bytes } = sampleBlob(3 * MIB, 3);
    await clientOf(instances.of('a')).write(digest, inPieces(bytes, 100_000));
    const other = sampleBlob(3 * MIB, 4);
    const b = instances.of('b');
    const refusal = `Write ${digest}: the bytes that arrived are ${other.digest}`;
    await expect(b.write(digest, inPieces(other.bytes, 100_000))).rejects.toThrow(refusal);
    await expect(clientOf(b).write(digest, inPieces(other.bytes, 100_000))).rejects.toThrow(refusal);
    expect(await b.findMissing([digest])).toEqual([digest]);
  });
});

describe('eviction', () => {
  it('leaves the chunks of a blob that a live build has written or found', async () => {
    await using instances = await openInstances({ limitBytes: 12 * MIB, segmentBytes: MIB });
    const store = instances.of('');
    const written = sampleBytes(3 * MIB, 5);
    const found = sampleBytes(3 * MIB, 6);
    const [writtenCut, foundCut] = [await cut(written), await cut(found)];
    await clientOf(store).write(foundCut.digest, inPieces(found, 100_000));
    await clientOf(store).write(writtenCut.digest, inPieces(written, 100_000), { invocationId: 'one' });
    expect(await store.findMissing([foundCut.digest], { invocationId: 'two' })).toEqual([]);

    for (let index = 0; index < 20; index += 1) {
      const { digest, bytes } = sampleBlob(MIB, 100 + index);
      await store.write(digest, bytesOf(bytes));
    }
    expect(instances.disk.disk.stats.evictedBytes).toBeGreaterThan(5 * MIB);
    expect(await store.findMissing([writtenCut.digest, foundCut.digest])).toEqual([]);
    expect((await readAll(store, writtenCut.digest))?.equals(written)).toBe(true);
    expect((await readAll(store, foundCut.digest))?.equals(found)).toBe(true);
  });

  it('makes a blob missing as soon as one of its chunks is gone', async () => {
    await using instances = await openInstances({ limitBytes: 32 * MIB, segmentBytes: MIB });
    const store = instances.of('');
    const bytes = sampleBytes(4 * MIB, 7);
    const { digest } = await cut(bytes);
    await clientOf(store).write(digest, inPieces(bytes, 100_000));
    for (let index = 0; index < 34; index += 1) {
      const other = sampleBlob(MIB, 200 + index);
      await store.write(other.digest, bytesOf(other.bytes));
    }
    expect(await store.findMissing([digest])).toEqual([digest]);
    expect(await readAll(store, digest)).toBeUndefined();
    await clientOf(store).write(digest, inPieces(bytes, 100_000));
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
  });
});
