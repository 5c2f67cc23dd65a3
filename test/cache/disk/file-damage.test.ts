import { chmod, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Digest } from '../../../core/digest.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { inPieces, readAll, sampleBlob } from '../bytes.ts';
import { openDiskStore } from './open-disk-store.ts';

type Damage = [string, (path: string, sizeBytes: number) => Promise<void>];

/** Ways a file rots that its length shows. */
const MISFITS: Damage[] = [
  ['its last byte cut off', (path, sizeBytes) => truncate(path, sizeBytes - 1)],
  ['all bytes cut off', (path) => truncate(path, 0)],
  ['a byte too many', (path, sizeBytes) => truncate(path, sizeBytes + 1)],
];
/** All ways. */
const DAMAGES: Damage[] = [
  ['one bit flipped at the start', (path) => flip(path, 0)],
  ['one bit flipped at the end', (path, sizeBytes) => flip(path, sizeBytes - 1)],
  ...MISFITS,
];

async function flip(path: string, position: number): Promise<void> {
  await chmod(path, 0o644);
  await writeFile(path, flipped(await readFile(path), position));
}

function flipped(bytes: Buffer, position: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[position]! ^= 1;
  return changed;
}

/** A store in which each blob is a file of its own. */
const openFiles = () => openDiskStore({ smallBlobBytesMax: 0 });

describe('damage to the files of a DiskBlobStore', () => {
  for (const sizeBytes of [1000, 400_000]) {
    for (const [damage, inflict] of DAMAGES) {
      it(`never lets out a blob of ${sizeBytes} bytes with ${damage}, and an upload heals it`, async () => {
        await using opened = await openFiles();
        const { bytes, digest } = sampleBlob(sizeBytes);
        await opened.store.write(digest, bytesOf(bytes));
        expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
        await inflict(opened.pathOf(digest), sizeBytes);
        const seen: Uint8Array[] = [];
        let error: unknown;
        try {
          for await (const chunk of (await opened.store.read(digest)) ?? []) seen.push(chunk);
        } catch (thrown) {
          error = thrown;
        }
        expect(Buffer.concat(seen).length).toBeLessThan(sizeBytes);
        if (seen.length > 0) expect(error).toMatchObject({ code: Code.DATA_LOSS });
        expect(opened.disk.stats.corruptBlobs).toBe(1);
        expect(await opened.store.findMissing([digest])).toEqual([digest]);
        expect(await opened.store.read(digest)).toBeUndefined();
        expect(await readdir(join(opened.folder, 'quarantine'))).toEqual([digest.hash]);
        await opened.store.write(digest, bytesOf(bytes));
        expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
      });
    }
  }

  it('takes a file out once, however many find it', async () => {
    await using opened = await openFiles();
    for (const sizeBytes of [1000, 400_000]) {
      const { bytes, digest } = sampleBlob(sizeBytes);
      await opened.store.write(digest, bytesOf(bytes));
      await flip(opened.pathOf(digest), 5);
      const readers = Array.from({ length: 10 }, () => readAll(opened.store, digest));
      for (const outcome of await Promise.allSettled(readers)) {
        if (outcome.status === 'fulfilled') expect(outcome.value).toBeUndefined();
        else expect(outcome.reason).toMatchObject({ code: Code.DATA_LOSS });
      }
    }
    expect(opened.disk.stats.corruptBlobs).toBe(2);
  });

  it('is told in DATA_LOSS with what the bytes were', async () => {
    await using opened = await openFiles();
    const { bytes, digest } = sampleBlob(200_000);
    await opened.store.write(digest, bytesOf(bytes));
    await flip(opened.pathOf(digest), 5);
    const { hash } = Digest.ofBytes(flipped(bytes, 5));
    await expect(readAll(opened.store, digest)).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message: `Read ${digest}: the file's bytes have the hash ${hash}`,
    });
  });

  it('anywhere in a blob is found before a part of it is handed out', async () => {
    await using opened = await openFiles();
    const { bytes, digest } = sampleBlob(400_000);
    await opened.store.write(digest, bytesOf(bytes));
    await flip(opened.pathOf(digest), 399_999);
    expect(await opened.store.read(digest, { offset: 0, limit: 10 })).toBeUndefined();
    expect(opened.disk.stats.corruptBlobs).toBe(1);
  });

  for (const [damage, inflict] of MISFITS) {
    it(`is seen at a start in a file with ${damage}, counts, and is healed by an upload`, async () => {
      await using opened = await openFiles();
      const { bytes, digest } = sampleBlob(400_000);
      for (const name of ['', 'a', 'b']) await opened.disk.forInstance(name).write(digest, bytesOf(bytes));
      await opened.reopen(() => inflict(opened.pathOf(digest), bytes.length));
      expect(opened.disk.stats).toMatchObject({ corruptBlobs: 1, blobs: 0 });
      expect(await readdir(join(opened.folder, 'quarantine'))).toEqual([digest.hash]);
      expect(await opened.store.findMissing([digest])).toEqual([digest]);
      expect(await opened.store.read(digest)).toBeUndefined();
      await opened.store.write(digest, inPieces(bytes));
      expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
      await opened.reopen();
      expect(opened.disk.stats.corruptBlobs).toBe(0);
      expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
    });
  }

  it('is seen at a start in a file beside the record of its blob, which is the one that is read', async () => {
    await using opened = await openDiskStore();
    const { bytes, digest } = sampleBlob(1000);
    await opened.store.write(digest, bytesOf(bytes));
    await opened.reopen(() => placeFile(opened.pathOf(digest), bytes.subarray(1)));
    expect(opened.disk.stats.corruptBlobs).toBe(1);
    expect(await readdir(dirname(opened.pathOf(digest)))).toEqual([]);
    expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
  });

  it('of before there were segments is not seen in the good file that has healed it', async () => {
    const { bytes, digest } = sampleBlob(400_000);
    await using opened = await openFiles();
    await opened.reopen(async () => {
      await rm(opened.segments, { recursive: true });
      await placeFile(opened.pathOf(digest), bytes.subarray(1));
    });
    await opened.store.write(digest, bytesOf(bytes));
    await opened.reopen();
    expect(opened.disk.stats.corruptBlobs).toBe(0);
    expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
  });
});

async function placeFile(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}
