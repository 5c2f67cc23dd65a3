import { expect, test } from 'vitest';
import { collectBytes } from '../../../core/streams.ts';
import { SmallBlobCachingBlobStore } from '../../../worker/blobs/small-blob-caching-blob-store.ts';
import { MemoryBlobStore } from '../../setup/memory-blob-store.ts';

async function bytesOf(source: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  return await collectBytes(source!, { bytesMax: 1e6, what: 'blob' });
}

test('reads a small blob once, and hands out bytes nobody else holds', async () => {
  const inner = new MemoryBlobStore();
  const store = new SmallBlobCachingBlobStore(inner);
  const digest = inner.put(Buffer.from('directory'));
  (await bytesOf(await store.read(digest))).fill(0);
  for await (const chunk of (await store.read(digest))!) chunk.fill(0);
  expect((await bytesOf(await store.read(digest))).toString()).toBe('directory');
  expect(inner.reads).toHaveLength(1);
});

test('large blobs, parts and absent ones go to the store each time', async () => {
  const inner = new MemoryBlobStore();
  const store = new SmallBlobCachingBlobStore(inner);
  const large = inner.put(Buffer.alloc(200_000));
  const small = inner.put(Buffer.from('0123456789'));
  for (const _time of [1, 2]) {
    expect(await bytesOf(await store.read(large))).toHaveLength(200_000);
    expect((await bytesOf(await store.read(small, { offset: 2, limit: 3 }))).toString()).toBe('234');
  }
  inner.remove(small);
  expect(await store.read(small)).toBeUndefined();
  expect(inner.reads).toHaveLength(5);
  expect(await store.findMissing([small])).toEqual([small]);
});
