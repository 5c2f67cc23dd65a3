import { describe, expect, it } from 'vitest';
import { DiskBlobStore } from '../../../cache/disk/disk-blob-store.ts';
import type { Digest } from '../../../core/digest.ts';
import { cancelled, resourceExhausted, unavailable } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { waitUntil } from '../../setup/wait-until.ts';
import { blobStoreContract } from '../blob-store-contract.ts';
import { inPieces, readAll, sampleBlob } from '../bytes.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { openTierUnderTest } from './tier-under-test.ts';

blobStoreContract('TieredBlobStore', () => openTierUnderTest({ objectStore: new MemoryObjectStore() }));

const KEY = (digest: Digest) => `prefix/@/cas/sha256/${digest.hash}`;
const MIB = 1024 * 1024;

/** Two nodes over one bucket, and a blob that only the bucket has. */
async function withBlob(sizeBytes: number, seed: number) {
  const objectStore = new MemoryObjectStore();
  const { bytes, digest } = sampleBlob(sizeBytes, seed);
  objectStore.objects.set(KEY(digest), bytes);
  const local = new MemoryBlobStore();
  const node = await openTierUnderTest({ objectStore, local });
  return { objectStore, bytes, digest, local, node, store: node.store };
}

describe('TieredBlobStore, reading', () => {
  for (const sizeBytes of [1000, 3 * MIB]) {
    it(`finds and reads a blob of ${sizeBytes} bytes that only the object store has, and keeps it`, async () => {
      const { objectStore, bytes, digest, local, node, store } = await withBlob(sizeBytes, 1);
      await using _node = node;
      expect(await store.findMissing([digest])).toEqual([]);
      expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
      await waitUntil('it to be kept', () => local.blobs.has(digest.key));
      expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
      expect(objectStore.calls).toMatchObject({ head: 1, get: 2 });
      expect(node.tier.status()).toMatchObject({ fetched: 1, fetchedBytes: sizeBytes });
    });

    it(`shares one fetch of ${sizeBytes} bytes among readers that come together`, async () => {
      const { objectStore, bytes, digest, node, store } = await withBlob(sizeBytes, 2);
      await using _node = node;
      const before = objectStore.calls.get;
      const all = await Promise.all(Array.from({ length: 20 }, () => readAll(store, digest)));
      expect(all.every((read) => read?.equals(bytes))).toBe(true);
      expect(objectStore.calls.get - before).toBe(1);
    });

    it(`reads parts of ${sizeBytes} bytes after fetching the whole once`, async () => {
      const { objectStore, bytes, digest, node, store } = await withBlob(sizeBytes, 3);
      await using _node = node;
      const before = objectStore.calls.get;
      const part = await readAll(store, digest, { offset: 500, limit: 300 });
      expect(part?.equals(bytes.subarray(500, 800))).toBe(true);
      expect((await readAll(store, digest, { offset: sizeBytes - 7 }))?.equals(bytes.subarray(-7))).toBe(
        true,
      );
      expect(objectStore.calls.get - before).toBe(1);
    });

    it(`never ends a read of a damaged object of ${sizeBytes} bytes, counts it, and heals it by the next write`, async () => {
      const { objectStore, bytes, digest, node, store } = await withBlob(sizeBytes, 4);
      await using _node = node;
      const damaged = Buffer.from(bytes);
      damaged[sizeBytes - 1] = (damaged.at(-1) ?? 0) ^ 1;
      objectStore.objects.set(KEY(digest), damaged);
      const read = await readAll(store, digest).catch((error) => error);
      if (read !== undefined) expect(read).toMatchObject({ code: Code.DATA_LOSS });
      expect(node.tier.status().damaged).toBe(1);
      expect(node.logger.at('error')).toEqual([
        {
          level: 'error',
          fields: { blob: digest.toString(), key: KEY(digest) },
          message: 'an object is not what its name says',
        },
      ]);
      expect(await readAll(store, digest)).toBeUndefined();
      expect(await store.findMissing([digest])).toEqual([digest]);
      await store.write(digest, inPieces(bytes));
      await waitUntil('it to be uploaded', () => objectStore.objects.get(KEY(digest))?.equals(bytes));
      expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
    });
  }

  it('gives a reader the first bytes while the rest is still under way, and the last only when all are right', async () => {
    const { objectStore, bytes, digest, node, store } = await withBlob(MIB, 5);
    await using _node = node;
    const gate = Promise.withResolvers<void>();
    objectStore.chunkGate = gate.promise;
    const iterator = (await store.read(digest))?.[Symbol.asyncIterator]();
    const first = await iterator?.next();
    expect(first?.value).toHaveLength(64 * 1024);
    gate.resolve();
    const chunks = [first?.value as Uint8Array];
    for (let next = await iterator?.next(); !next?.done; next = await iterator?.next()) {
      if (next !== undefined) chunks.push(next.value);
    }
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  });

  it('does not slow the fetch down for a reader that stands still: it goes on from the local store', async () => {
    const { bytes, digest, local, node, store } = await withBlob(3 * MIB, 6);
    await using _node = node;
    const iterator = (await store.read(digest))?.[Symbol.asyncIterator]();
    const chunks = [(await iterator?.next())?.value as Uint8Array];
    await waitUntil('it to be kept', () => local.blobs.has(digest.key));
    for (let next = await iterator?.next(); !next?.done; next = await iterator?.next()) {
      if (next !== undefined) chunks.push(next.value);
    }
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  });

  it('gives the fetch up when its only reader leaves, and the next reader begins anew', async () => {
    const { objectStore, bytes, digest, local, node, store } = await withBlob(3 * MIB, 7);
    await using _node = node;
    objectStore.chunkGate = new Promise(() => undefined);
    for await (const _chunk of (await store.read(digest)) ?? []) break;
    expect(local.blobs.has(digest.key)).toBe(false);
    objectStore.chunkGate = undefined;
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
  });

  it('goes on where a transfer broke off', async () => {
    const { objectStore, bytes, digest, node, store } = await withBlob(3 * MIB, 8);
    await using _node = node;
    objectStore.breakAfter = { bytes: MIB, times: 2 };
    const before = objectStore.calls.get;
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
    expect(objectStore.calls.get - before).toBe(3);
  });

  it('is UNAVAILABLE with a time to wait when a transfer breaks off again and again', async () => {
    const { objectStore, digest, node, store } = await withBlob(3 * MIB, 9);
    await using _node = node;
    objectStore.breakAfter = { bytes: 0, times: 100 };
    const error = await readAll(store, digest).catch((thrown) => thrown);
    expect(error).toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'Read an object: the connection was lost',
      details: [{ typeUrl: 'type.googleapis.com/google.rpc.RetryInfo' }],
    });
  });

  it('hands a blob on that the local disk has no room for', async () => {
    const { bytes, digest, local, node, store } = await withBlob(3 * MIB, 10);
    await using _node = node;
    local.write = async (_digest, source) => {
      let seen = 0;
      for await (const chunk of source) {
        seen += chunk.length;
        if (seen > MIB) throw resourceExhausted('no space is left on the disk');
      }
    };
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
  });

  it('stops waiting when the signal of one reader aborts, and goes on for the others', async () => {
    const { objectStore, bytes, digest, node, store } = await withBlob(1000, 11);
    await using _node = node;
    const gate = Promise.withResolvers<void>();
    objectStore.gate = gate.promise;
    const controller = new AbortController();
    const first = store.read(digest, undefined, { signal: controller.signal });
    const second = readAll(store, digest);
    await waitUntil('the fetch to begin', () => objectStore.calls.get === 2);
    controller.abort(cancelled('enough'));
    await expect(first).rejects.toMatchObject({ code: Code.CANCELLED, message: 'enough' });
    gate.resolve();
    expect((await second)?.equals(bytes)).toBe(true);
  });
});

describe('TieredBlobStore, while the object store is away', () => {
  it('serves what is here, finds the rest absent, and refuses to read what is known to be there', async () => {
    const { objectStore, digest: known, node, store } = await withBlob(1000, 20);
    await using _node = node;
    const here = sampleBlob(500, 21);
    await store.write(here.digest, bytesOf(here.bytes));
    expect(await store.findMissing([known])).toEqual([]);
    objectStore.failure = unavailable('the connection was lost');
    const unknown = sampleBlob(600, 22).digest;
    expect(await store.findMissing([here.digest, known, unknown])).toEqual([unknown]);
    expect((await readAll(store, here.digest))?.equals(here.bytes)).toBe(true);
    expect(await readAll(store, unknown)).toBeUndefined();
    await expect(readAll(store, known)).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      message: `Read ${known}: the object store has it and does not answer`,
      details: [{ typeUrl: 'type.googleapis.com/google.rpc.RetryInfo' }],
    });
    expect(node.tier.status().unanswered).toBe(2);
  });

  it('asks it nothing more after five failures, until five seconds are over', async () => {
    const { objectStore, node, store } = await withBlob(1000, 23);
    await using _node = node;
    objectStore.failure = unavailable('the connection was lost');
    const digests = Array.from({ length: 500 }, (_, index) => sampleBlob(10, 3000 + index).digest);
    expect(await store.findMissing(digests)).toHaveLength(500);
    expect(objectStore.calls.head).toBeLessThan(100);
    const before = objectStore.calls.head;
    expect(await store.findMissing(digests)).toHaveLength(500);
    expect(objectStore.calls.head).toBe(before);
    expect(node.tier.status().isAway).toBe(true);
    expect(node.logger.at('warn').map(({ message }) => message)).toEqual(['the object store is away']);
  });

  it('answers absent for a remembered blob that is gone, and forgets it', async () => {
    const { objectStore, digest, node, store } = await withBlob(1000, 24);
    await using _node = node;
    expect(await store.findMissing([digest])).toEqual([]);
    objectStore.objects.clear();
    expect(await readAll(store, digest)).toBeUndefined();
    expect(await store.findMissing([digest])).toEqual([digest]);
  });
});

describe('TieredBlobStore, writing', () => {
  it('uploads what is written, and remembers that it did', async () => {
    const objectStore = new MemoryObjectStore();
    await using node = await openTierUnderTest({ objectStore });
    const { bytes, digest } = sampleBlob(700_000, 30);
    await node.store.write(digest, inPieces(bytes));
    await waitUntil('the queue to be empty', () => node.tier.status().queued === 0);
    expect(objectStore.objects.get(KEY(digest))?.equals(bytes)).toBe(true);
    await node.store.write(digest, inPieces(bytes));
    expect(objectStore.calls.put).toBe(1);
    expect(node.tier.status()).toMatchObject({ uploaded: 1, uploadedBytes: 700_000, queuedBytes: 0 });
  });

  it('answers a write while the object store is away, and uploads when it is back', async () => {
    const objectStore = new MemoryObjectStore();
    await using node = await openTierUnderTest({ objectStore });
    objectStore.failure = unavailable('the connection was lost');
    const { bytes, digest } = sampleBlob(1000, 31);
    await node.store.write(digest, bytesOf(bytes));
    await waitUntil('a try', () => node.tier.status().retried > 0);
    expect(node.tier.status()).toMatchObject({ queued: 1, queuedBytes: 1000, uploaded: 0 });
    objectStore.failure = undefined;
    await waitUntil('the upload', () => objectStore.objects.has(KEY(digest)));
  });

  it('makes a write wait while the queue is full, without taking its bytes, and lets it go when it aborts', async () => {
    const objectStore = new MemoryObjectStore();
    await using node = await openTierUnderTest({ objectStore, settings: { tierQueueBytes: '1500' } });
    const gate = Promise.withResolvers<void>();
    objectStore.gate = gate.promise;
    const [first, second, third] = [32, 33, 34].map((seed) => sampleBlob(1000, seed));
    await node.store.write(first!.digest, bytesOf(first!.bytes));
    let isTaken = false;
    async function* watched() {
      isTaken = true;
      yield second!.bytes;
    }
    const waiting = node.store.write(second!.digest, watched());
    const controller = new AbortController();
    const leaving = node.store.write(third!.digest, bytesOf(third!.bytes), { signal: controller.signal });
    controller.abort(cancelled('enough'));
    await expect(leaving).rejects.toMatchObject({ code: Code.CANCELLED, message: 'enough' });
    expect(isTaken).toBe(false);
    gate.resolve();
    await waiting;
    await waitUntil('both', () => objectStore.objects.size === 2);
    expect(node.tier.status()).toMatchObject({ queued: 0, queuedBytes: 0 });
  });

  it('takes up after a restart what was not uploaded', async () => {
    await using folder = await tempFolder();
    const objectStore = new MemoryObjectStore();
    const local = new MemoryBlobStore();
    const { bytes, digest } = sampleBlob(1000, 35);
    const gone = sampleBlob(1000, 36);
    {
      await using node = await openTierUnderTest({ objectStore, local, folder: folder.path });
      objectStore.failure = unavailable('the connection was lost');
      await node.store.write(digest, bytesOf(bytes));
      await node.store.write(gone.digest, bytesOf(gone.bytes));
    }
    objectStore.failure = undefined;
    local.blobs.delete(gone.digest.key);
    await using node = await openTierUnderTest({ objectStore, local, folder: folder.path });
    await waitUntil('the queue to be empty', () => node.tier.status().queued === 0);
    expect([...objectStore.objects.keys()]).toEqual([KEY(digest)]);
    expect(node.tier.status()).toMatchObject({ uploaded: 1, lost: 1 });
    expect(node.logger.lines.map(({ message }) => message)).toContain(
      'uploads of an earlier process are taken up',
    );
  });

  it('keeps what is pending from eviction, until it is uploaded', async () => {
    await using folder = await tempFolder();
    await using disk = await DiskBlobStore.open({
      folder: folder.path,
      logger: silentLogger,
      limitBytes: 64 * MIB,
      recentBlobBytes: 0,
      invocationTtlMs: 2000,
    });
    const local = disk.forInstance('');
    const objectStore = new MemoryObjectStore();
    await using node = await openTierUnderTest({ objectStore, local, invocationTtlMs: 2000 });
    // The upload stands still: a try that failed would read the blob again, and so use it.
    const gate = Promise.withResolvers<void>();
    objectStore.gate = gate.promise;
    const pending = sampleBlob(MIB, 60);
    await node.store.write(pending.digest, inPieces(pending.bytes));
    // Pins are renewed four times in the time a lease lasts.
    await new Promise((resolve) => setTimeout(resolve, 700));
    const others = Array.from({ length: 90 }, (_, seed) => sampleBlob(MIB, 61 + seed));
    for (const { bytes, digest } of others) await local.write(digest, inPieces(bytes));
    expect(await local.findMissing([pending.digest])).toEqual([]);
    expect(await local.findMissing(others.map(({ digest }) => digest))).not.toEqual([]);
    gate.resolve();
    await waitUntil('the upload', () => objectStore.objects.get(KEY(pending.digest))?.equals(pending.bytes));
  });

  it('waits for the object store with sync, and is UNAVAILABLE when that takes too long', async () => {
    const objectStore = new MemoryObjectStore();
    await using node = await openTierUnderTest({
      objectStore,
      settings: { tierWrite: 'sync', tierSyncWait: '100ms' },
    });
    const { bytes, digest } = sampleBlob(1000, 37);
    await node.store.write(digest, bytesOf(bytes));
    expect(objectStore.objects.has(KEY(digest))).toBe(true);
    objectStore.gate = new Promise(() => undefined);
    const slow = sampleBlob(1000, 38);
    await expect(node.store.write(slow.digest, bytesOf(slow.bytes))).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      message: `Write ${slow.digest}: kept here, but the object store has not taken it within 100 ms`,
    });
  });

  it('keeps what one instance has from the others', async () => {
    const objectStore = new MemoryObjectStore();
    const { bytes, digest } = sampleBlob(1000, 39);
    await using writer = await openTierUnderTest({ objectStore });
    await using reader = await openTierUnderTest({ objectStore });
    await writer.tier.blobStore('team/a').write(digest, bytesOf(bytes));
    await waitUntil('the upload', () => objectStore.objects.has(`prefix/team=2fa/cas/sha256/${digest.hash}`));
    expect(await reader.tier.blobStore('team/a').findMissing([digest])).toEqual([]);
    expect(await reader.tier.blobStore('team/b').findMissing([digest])).toEqual([digest]);
    expect(await readAll(reader.tier.blobStore('team/b'), digest)).toBeUndefined();
  });
});
