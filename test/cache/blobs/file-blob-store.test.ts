import { chmod, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EmptyBlobStore } from '../../../cache/blobs/empty-blob-store.ts';
import { FileBlobStore } from '../../../cache/blobs/file-blob-store.ts';
import { Digest } from '../../../core/digest.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf } from '../../../core/streams.ts';
import { DigestFunction_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { blobStoreContract } from '../blob-store-contract.ts';
import { inPieces, readAll, sampleBlob } from '../bytes.ts';

const SHA256 = DigestFunction_Value.SHA256;

async function openStore() {
  const folder = await tempFolder();
  const store = await FileBlobStore.open({ folder: folder.path, logger: silentLogger });
  return {
    folder: folder.path,
    store,
    pathOf: ({ hash }: Digest) => join(folder.path, 'cas-v1', 'sha256', hash.slice(0, 2), hash),
    async [Symbol.asyncDispose]() {
      await store.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

blobStoreContract('EmptyBlobStore on FileBlobStore', async () => {
  const opened = await openStore();
  return {
    store: new EmptyBlobStore(opened.store),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
});

describe('FileBlobStore', () => {
  it('keeps a blob in one read-only file, and nothing in incoming', async () => {
    await using opened = await openStore();
    const { bytes, digest } = sampleBlob(1000);
    await opened.store.write(digest, bytesOf(bytes));
    expect(await readFile(opened.pathOf(digest))).toEqual(bytes);
    expect((await stat(opened.pathOf(digest))).mode & 0o777).toBe(0o444);
    expect(await readdir(join(opened.folder, 'incoming'))).toEqual([]);
  });

  it('finds its blobs again, and empties incoming, when opened again', async () => {
    await using opened = await openStore();
    const { bytes, digest } = sampleBlob(1000);
    await opened.store.write(digest, bytesOf(bytes));
    await opened.store.close();
    await writeFile(join(opened.folder, 'incoming', '17'), 'half a blob');
    await using again = await FileBlobStore.open({ folder: opened.folder, logger: silentLogger });
    expect((await readAll(again, digest))?.equals(bytes)).toBe(true);
    expect(await readdir(join(opened.folder, 'incoming'))).toEqual([]);
  });

  it('answers UNAVAILABLE once it is closed', async () => {
    await using opened = await openStore();
    const { bytes, digest } = sampleBlob(10);
    await opened.store.close();
    const refusal = { code: Code.UNAVAILABLE, message: 'the blob store is closed' };
    await expect(opened.store.findMissing([digest])).rejects.toMatchObject(refusal);
    await expect(opened.store.read(digest)).rejects.toMatchObject(refusal);
    await expect(opened.store.write(digest, bytesOf(bytes))).rejects.toMatchObject(refusal);
  });

  it('shares one file and one commit among a thousand writers of one blob', async () => {
    await using opened = await openStore();
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
    expect(await readdir(join(opened.folder, 'incoming'))).toEqual([]);
    expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
  });

  it('finds a blob by its hash alone', async () => {
    await using opened = await openStore();
    const { bytes, digest } = sampleBlob(10);
    expect(await opened.store.find({ hash: digest.hash, digestFunction: SHA256 })).toBeUndefined();
    await opened.store.write(digest, bytesOf(bytes));
    expect(await opened.store.find({ hash: digest.hash, digestFunction: SHA256 })).toEqual(digest);
  });

  it('ingests bytes whose digest nobody knew', async () => {
    await using opened = await openStore();
    const { bytes, digest } = sampleBlob(200_000);
    const ingest = (options: { bytesMax: number; hash?: string }) =>
      opened.store.ingest(inPieces(bytes), { digestFunction: SHA256, ...options });
    await expect(ingest({ bytesMax: 199_999 })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'Write a blob: more than 199999 bytes arrived',
    });
    const hash = sampleBlob(5).digest.hash;
    await expect(ingest({ bytesMax: 200_000, hash })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `Write ${hash}: the bytes that arrived are ${digest}`,
    });
    expect(await opened.store.findMissing([digest])).toEqual([digest]);
    expect(await ingest({ bytesMax: 200_000, hash: digest.hash })).toEqual(digest);
    expect(await ingest({ bytesMax: 200_000 })).toEqual(digest);
    expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
    expect(await readdir(join(opened.folder, 'incoming'))).toEqual([]);
  });
});

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
  const bytes = await readFile(path);
  bytes[position]! ^= 1;
  await writeFile(path, bytes);
}

describe('FileBlobStore with damaged files', () => {
  for (const sizeBytes of [1000, 400_000]) {
    for (const [damage, inflict] of DAMAGES) {
      it(`never hands out a blob of ${sizeBytes} bytes with ${damage}, and heals by an upload`, async () => {
        await using opened = await openStore();
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
        expect(opened.store.corruptBlobs).toBe(1);
        expect(await opened.store.findMissing([digest])).toEqual([digest]);
        expect(await opened.store.read(digest)).toBeUndefined();
        expect(await readdir(join(opened.folder, 'quarantine'))).toEqual([digest.hash]);
        await opened.store.write(digest, bytesOf(bytes));
        expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
      });
    }
  }

  it('takes a damaged file once, however many find it', async () => {
    await using opened = await openStore();
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
    expect(opened.store.corruptBlobs).toBe(2);
  });

  it('says in its DATA_LOSS what the bytes were', async () => {
    await using opened = await openStore();
    const { bytes, digest } = sampleBlob(200_000);
    await opened.store.write(digest, bytesOf(bytes));
    await flip(opened.pathOf(digest), 5);
    const { hash } = sampleBlobWithFlip(bytes);
    await expect(readAll(opened.store, digest)).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message: `Read ${digest}: the file's bytes have the hash ${hash}`,
    });
  });

  it('checks the whole blob before it hands out a part', async () => {
    await using opened = await openStore();
    const { bytes, digest } = sampleBlob(400_000);
    await opened.store.write(digest, bytesOf(bytes));
    await flip(opened.pathOf(digest), 399_999);
    expect(await opened.store.read(digest, { offset: 0, limit: 10 })).toBeUndefined();
    expect(opened.store.corruptBlobs).toBe(1);
  });

  it('heals a file of the wrong length by an upload even before anyone reads it', async () => {
    await using opened = await openStore();
    const { bytes, digest } = sampleBlob(400_000);
    await opened.store.write(digest, bytesOf(bytes));
    await truncate(opened.pathOf(digest), 100);
    expect(await opened.store.findMissing([digest])).toEqual([digest]);
    await opened.store.write(digest, inPieces(bytes));
    expect((await readAll(opened.store, digest))?.equals(bytes)).toBe(true);
  });
});

function sampleBlobWithFlip(bytes: Buffer) {
  const flipped = Buffer.from(bytes);
  flipped[5]! ^= 1;
  return Digest.ofBytes(flipped);
}
