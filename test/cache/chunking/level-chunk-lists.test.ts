import { Level } from 'level';
import { describe, expect, it } from 'vitest';
import { LevelRecords } from '../../../cache/actions/level-records.ts';
import { LevelChunkLists } from '../../../cache/chunking/level-chunk-lists.ts';
import { Digest } from '../../../core/digest.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { DigestFunction_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { sampleBlob } from '../bytes.ts';

const { digest: A } = sampleBlob(100, 1);
const { digest: B } = sampleBlob(200, 2);
const { digest: C } = sampleBlob(300, 3);

async function openRecords() {
  const folder = await tempFolder();
  const records = await LevelRecords.open({ folder: folder.path, logger: silentLogger });
  return {
    records,
    keys: async () => {
      const keys: string[] = [];
      for await (const key of records.keys('')) keys.push(key);
      return keys;
    },
    async [Symbol.asyncDispose]() {
      await records.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

function listOf(...chunks: Digest[]) {
  return { chunks, chunkingFunction: 1 as const };
}

describe('LevelChunkLists', () => {
  it('keeps the first list of a blob, also when two are filed at once', async () => {
    await using opened = await openRecords();
    const lists = await LevelChunkLists.open(opened);
    await Promise.all([lists.put(A, listOf(B)), lists.put(A, listOf(C))]);
    expect((await lists.get(A))?.chunks.map(String)).toEqual([B.toString()]);
    expect(await opened.keys()).toHaveLength(1);
  });

  it('forgets a list that is dropped, and takes another then', async () => {
    await using opened = await openRecords();
    const lists = await LevelChunkLists.open(opened);
    await lists.put(A, listOf(B));
    await lists.drop(A);
    await lists.drop(A);
    expect(lists.has(A)).toBe(false);
    expect(await lists.get(A)).toBeUndefined();
    expect(await opened.keys()).toEqual([]);
    await lists.put(A, listOf(C));
    expect((await lists.get(A))?.chunks.map(String)).toEqual([C.toString()]);
  });

  it('drops the lists used longest ago when there are too many lists, or chunks in them', async () => {
    await using opened = await openRecords();
    const few = await LevelChunkLists.open({ ...opened, listsMax: 2 });
    await few.put(A, listOf(A));
    await few.put(B, listOf(B));
    await few.get(A);
    await few.put(C, listOf(C));
    expect([A, B, C].map((digest) => few.has(digest))).toEqual([true, false, true]);

    const short = await LevelChunkLists.open({ ...opened, chunksMax: 3 });
    expect(short.size).toBe(2);
    await short.put(B, listOf(A, B));
    expect(short.has(B)).toBe(true);
    expect(short.size).toBe(2);
    expect(await opened.keys()).toHaveLength(2);
  });

  it('drops a list whose record is damaged, and passes over keys it cannot read', async () => {
    await using folder = await tempFolder();
    const options = { folder: folder.path, logger: silentLogger };
    {
      await using records = await LevelRecords.open(options);
      const lists = await LevelChunkLists.open({ records });
      await lists.put(A, listOf(B));
      await lists.put(B, listOf(C));
      await records.put('chunks\0nonsense', Buffer.from('x'));
      await records.put('chunks\0sha256\0short\x003\x001', Buffer.from('x'));
    }
    {
      await using level = new Level<string, Buffer>(folder.path, { valueEncoding: 'buffer' });
      const key = `chunks\0sha256\0${A.hash}\x00100\x001`;
      const record = Buffer.from((await level.get(key)) as Buffer);
      record.writeUInt8(record.readUInt8(20) ^ 1, 20);
      await level.put(key, record);
    }
    await using records = await LevelRecords.open(options);
    const lists = await LevelChunkLists.open({ records });
    expect(lists.size).toBe(2);
    expect(await lists.get(A)).toBeUndefined();
    expect(lists.has(A)).toBe(false);
    expect((await lists.get(B))?.chunks.map(String)).toEqual([C.toString()]);
  });

  it('tells blobs of equal hash and another size, and of other digest functions, apart', async () => {
    await using opened = await openRecords();
    const lists = await LevelChunkLists.open(opened);
    const blake3 = Digest.ofBytes(Buffer.alloc(5), DigestFunction_Value.BLAKE3);
    const sha512 = Digest.ofBytes(Buffer.alloc(5), DigestFunction_Value.SHA512);
    await lists.put(blake3, listOf(blake3));
    await lists.put(sha512, listOf(sha512));
    const again = await LevelChunkLists.open(opened);
    expect(again.has(blake3) && again.has(sha512)).toBe(true);
    expect(again.has(Digest.of(blake3.hash, 5))).toBe(false);
    expect(again.has(Digest.of(blake3.hash, 6, DigestFunction_Value.BLAKE3))).toBe(false);
    expect(String(again.find(sha512))).toBe(sha512.toString());
    expect((await again.get(sha512))?.chunks[0]?.key).toBe(sha512.key);
  });
});
