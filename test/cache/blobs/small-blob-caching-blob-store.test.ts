import { expect, test } from 'vitest';
import { SmallBlobCachingBlobStore } from '../../../cache/blobs/small-blob-caching-blob-store.ts';
import { SmallBlobMemory } from '../../../cache/blobs/small-blob-memory.ts';
import { readAll, sampleBytes } from '../../cache/bytes.ts';
import { MemoryBlobStore } from '../../setup/memory-blob-store.ts';

function bench(cachedBytesMax: number) {
  const inner = new MemoryBlobStore();
  const store = new SmallBlobCachingBlobStore({
    inner,
    memory: new SmallBlobMemory({ bytesMax: cachedBytesMax }),
  });
  const put = (sizeBytes: number, seed: number) => inner.put(sampleBytes(sizeBytes, seed));
  return { inner, store, put };
}

test('reads a small blob once', async () => {
  const { inner, store, put } = bench(1000);
  const digest = put(100, 1);
  for (let turn = 0; turn < 3; turn += 1) expect(await readAll(store, digest)).toEqual(sampleBytes(100, 1));
  expect(inner.reads).toHaveLength(1);
});

test('hands out bytes nobody else holds', async () => {
  const { store, put } = bench(1000);
  const digest = put(100, 1);
  for (let turn = 0; turn < 2; turn += 1) {
    for await (const chunk of (await store.read(digest)) ?? []) chunk.fill(0);
    expect(await readAll(store, digest)).toEqual(sampleBytes(100, 1));
  }
});

test('drops those read longest ago when its memory is full', async () => {
  const { inner, store, put } = bench(250);
  const [a, b, c] = [put(100, 1), put(100, 2), put(100, 3)];
  for (const digest of [a, b, a, c]) await readAll(store, digest);
  inner.reads.length = 0;
  for (const digest of [a, c, b]) await readAll(store, digest);
  expect(inner.reads).toEqual([b.hash]);
});

test('does not remember large blobs, parts, or what is absent', async () => {
  const { inner, store, put } = bench(10 * 1024 * 1024);
  const large = put(256 * 1024 + 1, 1);
  const small = put(100, 2);
  for (let turn = 0; turn < 2; turn += 1) {
    await readAll(store, large);
    expect(await readAll(store, small, { offset: 90 })).toHaveLength(10);
  }
  expect(inner.reads).toHaveLength(4);
  const absent = put(10, 3);
  inner.remove(absent);
  expect(await store.read(absent)).toBeUndefined();
  inner.put(sampleBytes(10, 3));
  expect(await readAll(store, absent)).toEqual(sampleBytes(10, 3));
});

test('knows nothing of what is there: that is asked each time', async () => {
  const { inner, store, put } = bench(1000);
  const digest = put(100, 1);
  await readAll(store, digest);
  inner.remove(digest);
  expect(await store.findMissing([digest])).toEqual([digest]);
});
