import { chmod, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Digest } from '../../../core/digest.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { inPieces, readAll, sampleBlob } from '../bytes.ts';
import { openDiskStore } from './open-disk-store.ts';

/** Ways a file rots. */
const DAMAGES: [string, (path: string, sizeBytes: number) => Promise<void>][] = [
  ['one bit flipped at the start', (path) => flip(path, 0)],
  ['one bit flipped at the end', (path, sizeBytes) => flip(path, sizeBytes - 1)],
  ['its last byte cut off', (path, sizeBytes) => truncate(path, sizeBytes - 1)],
  ['all bytes cut off', (path) => truncate(path, 0)],
  ['a byte too many', (path, sizeBytes) => truncate(path, sizeBytes + 1)],
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

  it('is seen in a file of the wrong length at a start, and an upload heals it before anyone reads it', async () => {
    await using opened = await openFiles();
    const { bytes, digest } = sampleBlob(400_000);
    await opened.store.write(digest, bytesOf(bytes));
    await opened.reopen(() => truncate(opened.pathOf(digest), 100));
    expect(await opened.store.findMissing([digest])).toEqual([digest]);
    await opened.store.write(digest, inPieces(bytes));
    expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
  });
});
