import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { unpackAny } from '../../../core/error-details.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { RetryInfo } from '../../../proto/gen/google/rpc/error_details.ts';
import { rejection } from '../../setup/rejection.ts';
import { inPieces, readAll, sampleBlob } from '../bytes.ts';
import { openDiskStore } from './open-disk-store.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
type Blob = ReturnType<typeof sampleBlob>;
type Store = Awaited<ReturnType<typeof openDiskStore>>;

let seed = 9_000_000;
function fresh(sizeBytes: number): Blob {
  seed += 1;
  return sampleBlob(sizeBytes, seed);
}

async function fill(
  { store }: Store,
  count: number,
  sizeBytes: number,
  invocationId?: string,
): Promise<Blob[]> {
  const blobs = Array.from({ length: count }, () => fresh(sizeBytes));
  for (const { bytes, digest } of blobs) await store.write(digest, bytesOf(bytes), { invocationId });
  return blobs;
}

async function present({ store }: Store, blobs: readonly Blob[]): Promise<number> {
  const missing = new Set((await store.findMissing(blobs.map(({ digest }) => digest))).map(String));
  for (const { bytes, digest } of blobs) {
    const seen = await readAll(store, digest);
    expect(seen === undefined, digest.toString()).toBe(missing.has(digest.toString()));
    if (seen !== undefined) expect(seen.equals(bytes)).toBe(true);
  }
  return blobs.length - missing.size;
}

/** 4 MiB in segments of 128 KiB. */
const SMALL = { limitBytes: 4 * MIB, segmentBytes: 128 * KIB };

describe('eviction from a DiskBlobStore', () => {
  it('keeps what is stored within the limit, and drops the oldest segments first', async () => {
    await using opened = await openDiskStore(SMALL);
    const old = await fill(opened, 400, 4 * KIB);
    const young = await fill(opened, 800, 4 * KIB);
    const { storedBytes, limitBytes, evictedBlobs, evictedBytes } = opened.disk.stats;
    expect(limitBytes).toBe(4 * MIB);
    expect(storedBytes).toBeLessThanOrEqual(limitBytes);
    expect(storedBytes).toBeGreaterThan(limitBytes * 0.85);
    expect(evictedBytes).toBe(evictedBlobs * 4 * KIB);
    expect(await present(opened, young)).toBe(young.length);
    expect(await present(opened, old)).toBe(old.length - evictedBlobs);
    const files = await Promise.all([opened.segmentFiles(), opened.segmentFiles('.idx')]);
    expect(files[0].length - files[1].length).toBe(1);
    await opened.reopen();
    expect(await present(opened, young)).toBe(young.length);
    expect(await present(opened, old)).toBe(old.length - evictedBlobs);
  });

  it('makes room for blobs that are larger than what the low-water mark leaves free', async () => {
    await using opened = await openDiskStore({ limitBytes: 8 * MIB, segmentBytes: 128 * KIB });
    const files = await fill(opened, 20, MIB);
    expect(await present(opened, files.slice(-1))).toBe(1);
    expect(opened.disk.stats.storedBytes).toBeLessThanOrEqual(8 * MIB);
  });

  it('drops files by their last use, also that of an earlier process', async () => {
    await using opened = await openDiskStore(SMALL);
    const files = await fill(opened, 12, 300 * KIB);
    await opened.reopen(async () => {
      for (const [index, { digest }] of files.entries()) {
        const path = opened.pathOf(digest);
        const hoursAgo = index % 2 === 0 ? 40 : 20;
        await utimes(path, Date.now() / 1000 - hoursAgo * 3600, Date.now() / 1000 - hoursAgo * 3600);
      }
    });
    await fill(opened, 3, 300 * KIB);
    for (const [index, file] of files.entries()) {
      if (index % 2 === 1) expect(await present(opened, [file]), `file ${index}`).toBe(1);
    }
    expect(await present(opened, files)).toBeLessThan(files.length);
  });

  it('writes the last use to a file, once in an hour', async () => {
    await using opened = await openDiskStore(SMALL);
    const [file] = await fill(opened, 1, 300 * KIB);
    const { digest } = file!;
    const path = opened.pathOf(digest);
    await opened.reopen(() => utimes(path, 1000, 1000));
    await opened.store.findMissing([digest]);
    const { stat } = await import('node:fs/promises');
    await expect.poll(async () => (await stat(path)).mtimeMs / 1000).toBeGreaterThan(Date.now() / 1000 - 60);
  });

  it('spares small blobs that are used again and again, by appending them anew', async () => {
    await using opened = await openDiskStore(SMALL);
    const used = await fill(opened, 20, 4 * KIB);
    for (let round = 0; round < 60; round += 1) {
      await fill(opened, 30, 4 * KIB);
      expect(await opened.store.findMissing(used.map(({ digest }) => digest))).toEqual([]);
      await sleep(2);
    }
    expect(await present(opened, used)).toBe(used.length);
    expect(opened.disk.stats.refreshedBlobs).toBeGreaterThan(used.length);
    await opened.reopen();
    expect(await present(opened, used)).toBe(used.length);
  });

  it('keeps instances of what it spares', async () => {
    await using opened = await openDiskStore(SMALL);
    const small = fresh(3 * KIB);
    const large = fresh(200 * KIB);
    const names = ['', 'a', 'b', ...Array.from({ length: 35 }, (_, number) => `team ${number}`)];
    for (const name of names) {
      for (const { bytes, digest } of [small, large]) {
        await opened.disk.forInstance(name).write(digest, bytesOf(bytes));
      }
    }
    for (let round = 0; round < 60; round += 1) {
      await fill(opened, 30, 4 * KIB);
      await opened.store.findMissing([small.digest, large.digest]);
      await sleep(2);
    }
    await opened.reopen();
    for (const name of names) {
      const view = opened.disk.forInstance(name);
      expect(await view.findMissing([small.digest, large.digest]), name).toEqual([]);
    }
    expect(await opened.disk.forInstance('other').findMissing([small.digest])).toEqual([small.digest]);
  });
});

describe('a live invocation', () => {
  it('keeps what it wrote, found or read from eviction', async () => {
    await using opened = await openDiskStore(SMALL);
    const [written, found, read] = [
      await fill(opened, 30, 4 * KIB, 'build 1'),
      await fill(opened, 30, 4 * KIB),
      await fill(opened, 2, 300 * KIB),
    ];
    await opened.store.findMissing(
      found.map(({ digest }) => digest),
      { invocationId: 'build 1' },
    );
    for (const { digest } of read) {
      for await (const _ of (await opened.store.read(digest, undefined, { invocationId: 'build 1' })) ?? []);
    }
    expect(opened.disk.stats.liveInvocations).toBe(1);
    for (let round = 0; round < 6; round += 1) {
      await fill(opened, 300, 4 * KIB);
      await fill(opened, 6, 200 * KIB);
    }
    const held = [...written, ...found, ...read];
    expect(opened.disk.stats.evictedBlobs).toBeGreaterThan(1000);
    expect(await present(opened, held)).toBe(held.length);
    await opened.reopen();
    expect(await present(opened, held)).toBe(held.length);
  });

  it('keeps what it wrote in a batch, or found there already', async () => {
    await using opened = await openDiskStore(SMALL);
    const before = await fill(opened, 30, 4 * KIB);
    const blobs = [...before, ...Array.from({ length: 30 }, () => fresh(4 * KIB))];
    const outcomes = await opened.store.writeAll?.(blobs, { invocationId: 'build 1' });
    expect(outcomes).toEqual(blobs.map(() => undefined));
    for (let round = 0; round < 6; round += 1) await fill(opened, 300, 4 * KIB);
    expect(opened.disk.stats.evictedBlobs).toBeGreaterThan(700);
    expect(await present(opened, blobs)).toBe(blobs.length);
  });

  it('that holds all there is has other writes refused, not reads, until it has been silent for the TTL', async () => {
    await using opened = await openDiskStore({ ...SMALL, invocationTtlMs: 3000 });
    const blobs: Blob[] = [];
    let refusal: Error | undefined;
    while (refusal === undefined && blobs.length < 100) {
      const blob = fresh(blobs.length % 2 === 0 ? 60 * KIB : 100 * KIB);
      const options = { invocationId: 'build 2' };
      await opened.store.write(blob.digest, bytesOf(blob.bytes), options).then(
        () => blobs.push(blob),
        (error) => {
          refusal = error;
        },
      );
    }
    expect(blobs.length).toBeGreaterThan(40);
    for (const source of [bytesOf, inPieces]) {
      for (const sizeBytes of [50 * KIB, 500 * KIB]) {
        const { bytes, digest } = fresh(sizeBytes);
        const error = await rejection(opened.store.write(digest, source(bytes)));
        expect([error.code, error.message]).toEqual([
          Code.RESOURCE_EXHAUSTED,
          `Write ${digest}: the cache is full: builds under way hold what is in its ${4 * MIB} bytes`,
        ]);
        const [detail] = error.details;
        expect(unpackAny(RetryInfo, 'google.rpc.RetryInfo', detail!)?.retryDelay?.seconds).toBe(5);
        expect(await opened.store.findMissing([digest])).toEqual([digest]);
      }
    }
    const batch = [fresh(30 * KIB), fresh(100 * KIB)];
    const outcomes = await opened.store.writeAll?.(batch);
    expect(outcomes?.map((error) => error?.code)).toEqual(batch.map(() => Code.RESOURCE_EXHAUSTED));
    expect(await present(opened, blobs)).toBe(blobs.length);
    expect(await readdir(join(opened.folder, 'incoming'))).toEqual([]);
    await expect.poll(() => opened.disk.stats.liveInvocations, { timeout: 10_000, interval: 100 }).toBe(0);
    const after = await fill(opened, 3, 50 * KIB);
    expect(await present(opened, after)).toBe(3);
  });

  it('is refused a blob larger than the cache', async () => {
    await using opened = await openDiskStore(SMALL);
    const { bytes, digest } = fresh(5 * MIB);
    await expect(opened.store.write(digest, bytesOf(bytes))).rejects.toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: `Write ${digest}: the cache keeps ${4 * MIB} bytes in all, and this is more`,
    });
  });
});
