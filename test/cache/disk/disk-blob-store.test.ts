import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EmptyBlobStore } from '../../../cache/blobs/empty-blob-store.ts';
import { Digest, digestFunctions } from '../../../core/digest.ts';
import { retryInfo } from '../../../core/error-details.ts';
import { bytesOf } from '../../../core/streams.ts';
import { DigestFunction_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { blobStoreContract } from '../blob-store-contract.ts';
import { inPieces, readAll, sampleBlob } from '../bytes.ts';
import { openDiskStore } from './open-disk-store.ts';

const SHA256 = DigestFunction_Value.SHA256;

for (const instance of ['', 'team/a']) {
  blobStoreContract(`EmptyBlobStore on instance "${instance}" of DiskBlobStore`, async () => {
    const opened = await openDiskStore();
    return {
      store: new EmptyBlobStore(opened.disk.forInstance(instance)),
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    };
  });
}

blobStoreContract('EmptyBlobStore on DiskBlobStore with tiny segments, opened again', async () => {
  const opened = await openDiskStore({ segmentBytes: 128 * 1024 });
  const early = sampleBlob(1000, 77);
  await opened.store.write(early.digest, bytesOf(early.bytes));
  await opened.reopen();
  return {
    store: new EmptyBlobStore(opened.store),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
});

blobStoreContract('EmptyBlobStore on DiskBlobStore with a file for each blob', async () => {
  const opened = await openDiskStore({ smallBlobBytesMax: 0 });
  return {
    store: new EmptyBlobStore(opened.store),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
});

const SIZES = [1, 1000, 64 * 1024, 64 * 1024 + 1, 400_000];

describe('DiskBlobStore', () => {
  it('finds its blobs again when opened again, of every digest function', async () => {
    await using opened = await openDiskStore();
    const blobs = SIZES.flatMap((sizeBytes, seed) => {
      const { bytes } = sampleBlob(sizeBytes, seed);
      return digestFunctions.map((digestFunction) => ({
        bytes,
        digest: Digest.ofBytes(bytes, digestFunction),
      }));
    });
    await Promise.all(blobs.map(({ bytes, digest }) => opened.store.write(digest, bytesOf(bytes))));
    for (const _time of [1, 2]) {
      await opened.reopen();
      expect(opened.disk.stats.blobs).toBe(blobs.length);
      expect(await opened.store.findMissing(blobs.map(({ digest }) => digest))).toEqual([]);
      for (const { bytes, digest } of blobs) {
        expect((await readAll(opened.store, digest))?.equals(bytes), digest.toString()).toBe(true);
      }
    }
  });

  it('keeps a large blob in one read-only file, and nothing in incoming', async () => {
    await using opened = await openDiskStore();
    const { bytes, digest } = sampleBlob(100_000);
    await opened.store.write(digest, bytesOf(bytes));
    expect(await readFile(opened.pathOf(digest))).toEqual(bytes);
    expect((await stat(opened.pathOf(digest))).mode & 0o777).toBe(0o444);
    expect(await readdir(join(opened.folder, 'incoming'))).toEqual([]);
  });

  it('removes what an earlier process left in incoming', async () => {
    await using opened = await openDiskStore();
    await opened.reopen(() => writeFile(join(opened.folder, 'incoming', '17'), 'half a blob'));
    expect(await readdir(join(opened.folder, 'incoming'))).toEqual([]);
  });

  it('seals segments, and starts from their sidecars as from the segments themselves', async () => {
    await using opened = await openDiskStore({ segmentBytes: 64 * 1024 });
    const blobs = Array.from({ length: 100 }, (_, seed) => sampleBlob(3000, seed));
    for (const { bytes, digest } of blobs) await opened.store.write(digest, bytesOf(bytes));
    const digests = blobs.map(({ digest }) => digest);
    await opened.reopen();
    const segments = await opened.segmentFiles();
    expect(segments.length).toBeGreaterThan(4);
    expect((await opened.segmentFiles('.idx')).length).toBe(segments.length - 1);
    expect(await opened.store.findMissing(digests)).toEqual([]);
    await opened.reopen(async () => {
      for (const name of await opened.segmentFiles('.idx')) await rm(join(opened.segments, name));
    });
    expect(await opened.store.findMissing(digests)).toEqual([]);
    for (const { bytes, digest } of blobs) {
      expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
    }
    await opened.reopen();
    expect((await opened.segmentFiles('.idx')).length).toBe(segments.length - 1);
  });

  it('leaves no old segment open for writers that are seldom needed', async () => {
    await using opened = await openDiskStore({ segmentBytes: 8 * 1024, limitBytes: 100_000 });
    const { store } = opened;
    const first = [sampleBlob(1500, 1), sampleBlob(1500, 2)];
    await Promise.all(first.map(({ bytes, digest }) => store.write(digest, bytesOf(bytes))));
    expect(await opened.segmentFiles()).toHaveLength(2);
    for (let seed = 10; seed < 80; seed++) {
      const { bytes, digest } = sampleBlob(3000, seed);
      await store.write(digest, bytesOf(bytes));
    }
    expect(await store.findMissing(first.map(({ digest }) => digest))).toHaveLength(2);
  });

  it('answers UNAVAILABLE once it is closed, and says when to try again', async () => {
    await using opened = await openDiskStore();
    const { bytes, digest } = sampleBlob(10);
    await opened.disk.close();
    const refusal = {
      code: Code.UNAVAILABLE,
      message: 'the blob store is closed',
      details: [retryInfo(1000)],
    };
    const { store } = opened;
    await expect(store.findMissing([digest])).rejects.toMatchObject(refusal);
    await expect(store.read(digest)).rejects.toMatchObject(refusal);
    await expect(store.write(digest, bytesOf(bytes))).rejects.toMatchObject(refusal);
    await expect(store.find({ hash: digest.hash, digestFunction: SHA256 })).rejects.toMatchObject(refusal);
    const ingesting = store.ingest(bytesOf(bytes), { digestFunction: SHA256, bytesMax: 10 });
    await expect(ingesting).rejects.toMatchObject(refusal);
  });

  it('shares one record or file among a thousand writers of one blob', async () => {
    await using opened = await openDiskStore();
    for (const sizeBytes of [1000, 300_000]) {
      const { bytes, digest } = sampleBlob(sizeBytes);
      const before = opened.disk.stats.storedBytes;
      await Promise.all(
        Array.from({ length: 1000 }, (_, index) =>
          opened.store.write(digest, index % 2 === 0 ? inPieces(bytes) : bytesOf(bytes)),
        ),
      );
      expect(opened.disk.stats.storedBytes - before).toBeLessThan(sizeBytes + 1000);
      expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
    }
    expect(await readdir(join(opened.folder, 'incoming'))).toEqual([]);
  });

  it('takes the bytes of two at most of a thousand writers of one large blob', async () => {
    await using opened = await openDiskStore();
    const { bytes, digest } = sampleBlob(300_000);
    let read = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of inPieces(bytes)) {
        read += piece.length;
        yield piece;
      }
    }
    const most = { files: 0 };
    const watch = setInterval(async () => {
      most.files = Math.max(most.files, (await readdir(join(opened.folder, 'incoming'))).length);
    }, 1);
    await Promise.all(Array.from({ length: 1000 }, () => opened.store.write(digest, counted())));
    clearInterval(watch);
    expect(read).toBeLessThanOrEqual(2 * bytes.length);
    expect(most.files).toBeLessThanOrEqual(2);
    expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
  });

  it('finds a blob by its hash alone', async () => {
    await using opened = await openDiskStore();
    for (const sizeBytes of [10, 100_000]) {
      const { bytes, digest } = sampleBlob(sizeBytes);
      const name = { hash: digest.hash, digestFunction: SHA256 };
      expect(await opened.store.find(name)).toBeUndefined();
      await opened.store.write(digest, bytesOf(bytes));
      expect((await opened.store.find(name))?.toString()).toBe(digest.toString());
    }
  });

  for (const sizeBytes of [2000, 200_000]) {
    it(`ingests ${sizeBytes} bytes whose digest nobody knew`, async () => {
      await using opened = await openDiskStore();
      const { bytes, digest } = sampleBlob(sizeBytes);
      const ingest = (options: { bytesMax: number; hash?: string }) =>
        opened.store.ingest(inPieces(bytes), { digestFunction: SHA256, ...options });
      await expect(ingest({ bytesMax: sizeBytes - 1 })).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: `Write a blob: more than ${sizeBytes - 1} bytes arrived`,
      });
      const hash = sampleBlob(5).digest.hash;
      await expect(ingest({ bytesMax: sizeBytes, hash })).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: `Write ${hash}: the bytes that arrived are ${digest}`,
      });
      expect(await opened.store.findMissing([digest])).toEqual([digest]);
      expect(await ingest({ bytesMax: sizeBytes, hash: digest.hash })).toEqual(digest);
      expect(await ingest({ bytesMax: sizeBytes })).toEqual(digest);
      expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
      expect(await readdir(join(opened.folder, 'incoming'))).toEqual([]);
    });
  }

  it('writes small streams as files while too many are in memory', async () => {
    await using opened = await openDiskStore();
    const blobs = Array.from({ length: 700 }, (_, seed) => sampleBlob(64 * 1024, seed));
    await Promise.all(blobs.map(({ bytes, digest }) => opened.store.write(digest, inPieces(bytes))));
    expect((await readdir(join(opened.folder, 'cas-v1'))).length).toBe(1);
    await opened.reopen();
    for (const { bytes, digest } of blobs) {
      expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
    }
  });
});

describe('instances of a DiskBlobStore', () => {
  for (const sizeBytes of [500, 300_000]) {
    it(`see a blob of ${sizeBytes} bytes where it was uploaded, stored once`, async () => {
      await using opened = await openDiskStore();
      const { bytes, digest } = sampleBlob(sizeBytes);
      const forged = sampleBlob(sizeBytes, 1).bytes;
      await opened.disk.forInstance('a').write(digest, inPieces(bytes));
      const other = opened.disk.forInstance('b');
      const isAbsent = async () => {
        expect(await other.findMissing([digest])).toEqual([digest]);
        expect(await other.read(digest)).toBeUndefined();
        expect(await other.find({ hash: digest.hash, digestFunction: SHA256 })).toBeUndefined();
      };
      await isAbsent();
      for (const source of [() => inPieces(forged), () => bytesOf(forged)]) {
        await expect(other.write(digest, source())).rejects.toMatchObject({
          code: Code.INVALID_ARGUMENT,
          message: `Write ${digest}: the bytes that arrived are ${Digest.ofBytes(forged)}`,
        });
      }
      await isAbsent();
      const before = opened.disk.stats.storedBytes;
      await other.write(digest, inPieces(bytes));
      expect(opened.disk.stats.storedBytes - before).toBeLessThan(200);
      await opened.reopen();
      for (const name of ['a', 'b']) {
        const view = opened.disk.forInstance(name);
        expect(await view.findMissing([digest])).toEqual([]);
        expect((await readAll(view, digest))?.equals(bytes)).toBe(true);
      }
      expect(await opened.disk.forInstance('c').findMissing([digest])).toEqual([digest]);
    });
  }

  it('are kept apart beyond those that have a bit of their own', async () => {
    await using opened = await openDiskStore();
    const { bytes, digest } = sampleBlob(100);
    for (let number = 0; number < 70; number += 2) {
      await opened.disk.forInstance(`team ${number}`).write(digest, bytesOf(bytes));
      const own = sampleBlob(50, number);
      await opened.disk.forInstance(`team ${number + 1}`).write(own.digest, bytesOf(own.bytes));
    }
    await opened.reopen();
    for (let number = 0; number < 70; number += 1) {
      const missing = await opened.disk.forInstance(`team ${number}`).findMissing([digest]);
      expect(missing.length, `team ${number}`).toBe(number % 2);
    }
  });

  it('leave nothing on the disk for a name that was only asked for', async () => {
    await using opened = await openDiskStore();
    const { digest } = sampleBlob(100);
    const before = await readdir(opened.folder, { recursive: true });
    for (const name of ['x', '../../x', 'y'.repeat(10_000)]) {
      expect(await opened.disk.forInstance(name).findMissing([digest])).toEqual([digest]);
      expect(await opened.disk.forInstance(name).read(digest)).toBeUndefined();
    }
    expect(await readdir(opened.folder, { recursive: true })).toEqual(before);
  });

  it('are limited in number', async () => {
    await using opened = await openDiskStore();
    const { bytes, digest } = sampleBlob(10);
    const names = Array.from({ length: 999 }, (_, number) => `name ${number}`);
    await Promise.all(names.map((name) => opened.disk.forInstance(name).write(digest, bytesOf(bytes))));
    await expect(opened.disk.forInstance('one more').write(digest, bytesOf(bytes))).rejects.toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: 'instance name "one more": blobs of 1000 instances are stored, the most that is accepted',
    });
  });
});
