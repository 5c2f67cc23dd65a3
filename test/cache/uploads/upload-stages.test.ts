import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { PushSource } from '../../../cache/grpc/push-source.ts';
import type { UploadStage } from '../../../cache/uploads/upload-stage.ts';
import { UploadStages, type UploadStagesLimits } from '../../../cache/uploads/upload-stages.ts';
import type { Digest } from '../../../core/digest.ts';
import { cancelled, type IngotError, unavailable } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { rejection } from '../../setup/rejection.ts';
import { readAll, sampleBlob } from '../bytes.ts';
import { openDiskStore } from '../disk/open-disk-store.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';

const SIZE = 1_000_000;

async function openFolder() {
  const opened = await openDiskStore();
  const uploads = join(opened.folder, 'uploads-v1');
  return {
    store: opened.store,
    uploads,
    open: (limits?: UploadStagesLimits) =>
      UploadStages.open({
        folder: uploads,
        logger: silentLogger,
        ...(limits === undefined ? {} : { limits }),
      }),
    files: async () => (await readdir(uploads)).map((name) => name.replace(/^.*\./, '.')).sort(),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

/** A write of the store that is fed through a stage and ends when it is told to. */
function begin(store: BlobStore, stage: UploadStage, digest: Digest) {
  const source = new PushSource();
  const controller = new AbortController();
  const written = store.write(digest, stage.source(source), { signal: controller.signal });
  written.catch(() => undefined);
  return {
    source,
    written,
    async end(reason: IngotError) {
      controller.abort(reason);
      expect(await rejection(written)).toBe(reason);
    },
  };
}

const closing = unavailable('the server is closing');
type Folder = Awaited<ReturnType<typeof openFolder>>;

/** Leaves the first part of a blob behind, as a server does that closes. */
async function leavePart(
  { store, open }: Folder,
  { bytes, digest }: ReturnType<typeof sampleBlob>,
  key = 'a',
) {
  await using stages = await open();
  const stage = stages.take(key, digest, 0);
  const upload = begin(store, stage, digest);
  upload.source.push(bytes.subarray(0, 300_000));
  await expect.poll(() => stage.receivedBytes).toBe(300_000);
  await upload.end(closing);
}

describe('UploadStages', () => {
  it('let an upload go on where the server before has stopped', async () => {
    await using folder = await openFolder();
    const blob = sampleBlob(SIZE, 1);
    await leavePart(folder, blob);
    expect(await folder.files()).toEqual(['.bytes', '.journal']);
    await using stages = await folder.open();
    expect(stages.durableBytes('a')).toBe(300_000);
    expect(stages.durableBytes('b')).toBeUndefined();
    expect([stages.storedBytes, stages.waitingBytes]).toEqual([300_000, 300_000]);
    const { source, written } = begin(folder.store, stages.take('a', blob.digest, 300_000), blob.digest);
    source.push(blob.bytes.subarray(300_000));
    source.end();
    await written;
    expect((await readAll(folder.store, blob.digest))?.equals(blob.bytes)).toBe(true);
    expect(await folder.files()).toEqual([]);
    expect(stages.storedBytes).toBe(0);
  });

  it('are resumed over and over, also with a journal that was torn', async () => {
    await using folder = await openFolder();
    const blob = sampleBlob(SIZE, 2);
    await leavePart(folder, blob);
    for (const end of [500_000, 700_000]) {
      const [journal = ''] = (await readdir(folder.uploads)).filter((name) => name.endsWith('.journal'));
      await writeFile(join(folder.uploads, journal), 'torn', { flag: 'a' });
      await using stages = await folder.open();
      const durable = stages.durableBytes('a') ?? 0;
      const stage = stages.take('a', blob.digest, durable);
      const upload = begin(folder.store, stage, blob.digest);
      upload.source.push(blob.bytes.subarray(durable, end));
      await stage.durableTo(end, {}).catch(() => undefined);
      await expect.poll(() => stages.storedBytes).toBe(end);
      await upload.end(closing);
    }
    await using stages = await folder.open();
    expect(stages.durableBytes('a')).toBe(700_000);
  });

  it('say no more than is on the disk', async () => {
    await using folder = await openFolder();
    const { bytes, digest } = sampleBlob(SIZE, 3);
    await using stages = await folder.open();
    const stage = stages.take('a', digest, 0);
    const upload = begin(folder.store, stage, digest);
    upload.source.push(bytes.subarray(0, 10_000));
    await expect.poll(() => stages.storedBytes).toBe(10_000);
    expect(stage.durableBytes).toBe(0);
    await stage.durableTo(10_000, {});
    expect(stage.durableBytes).toBe(10_000);
    const [journal = ''] = (await readdir(folder.uploads)).filter((name) => name.endsWith('.journal'));
    expect(await readFile(join(folder.uploads, journal), 'utf8')).toMatch(/{"durableBytes":10000}\n$/);
    await upload.end(cancelled('given up'));
    expect(await folder.files()).toEqual([]);
  });

  it('leave nothing of an upload that fails, and begin anew at 0', async () => {
    await using folder = await openFolder();
    const blob = sampleBlob(SIZE, 4);
    await leavePart(folder, blob);
    await using stages = await folder.open();
    const { source, written } = begin(folder.store, stages.take('a', blob.digest, 0), blob.digest);
    source.push(Buffer.alloc(SIZE));
    source.end();
    expect(await rejection(written)).toMatchObject({ code: Code.INVALID_ARGUMENT });
    await expect.poll(folder.files).toEqual([]);
    expect(stages.durableBytes('a')).toBeUndefined();
  });

  it('ask for all bytes again when the first part was damaged', async () => {
    await using folder = await openFolder();
    const blob = sampleBlob(SIZE, 5);
    await leavePart(folder, blob);
    const [file = ''] = (await readdir(folder.uploads)).filter((name) => name.endsWith('.bytes'));
    await writeFile(join(folder.uploads, file), Buffer.alloc(300_000));
    await using stages = await folder.open();
    const { source, written } = begin(folder.store, stages.take('a', blob.digest, 300_000), blob.digest);
    source.push(blob.bytes.subarray(300_000));
    source.end();
    expect(await rejection(written)).toMatchObject({
      code: Code.UNAVAILABLE,
      message: `Write ${blob.digest}: with the 300000 bytes that were here before a restart it is another blob; send it again from 0`,
    });
    expect(await folder.files()).toEqual([]);
  });

  it('forget what is too old, too much, or has no bytes', async () => {
    await using folder = await openFolder();
    for (const [index, key] of ['old', 'other', 'new'].entries()) {
      await leavePart(folder, sampleBlob(SIZE, 10 + index), key);
      const seconds = Date.now() / 1000 - [3600, 10, 0][index]!;
      for (const name of await readdir(folder.uploads)) {
        const path = join(folder.uploads, name);
        if (name.endsWith('.journal') && (await readFile(path, 'utf8')).includes(`"key":"${key}"`)) {
          await utimes(path, seconds, seconds);
        }
      }
    }
    await writeFile(join(folder.uploads, 'x.bytes'), 'without a journal');
    await writeFile(join(folder.uploads, 'y.journal'), 'not a journal');
    {
      await using stages = await folder.open({ ttlMs: 60_000, bytesMax: 10_000_000 });
      expect(['old', 'other', 'new'].map((key) => stages.durableBytes(key))).toEqual([
        undefined,
        300_000,
        300_000,
      ]);
      expect(await folder.files()).toEqual(['.bytes', '.bytes', '.journal', '.journal']);
    }
    {
      await using stages = await folder.open({ ttlMs: 60_000, bytesMax: 500_000 });
      expect(['other', 'new'].map((key) => stages.durableBytes(key))).toEqual([undefined, 300_000]);
    }
    await using stages = await folder.open({ ttlMs: 11_000, bytesMax: 500_000 });
    await expect.poll(() => stages.durableBytes('new'), { timeout: 12_000 }).toBeUndefined();
    await expect.poll(folder.files).toEqual([]);
  });

  it('hand all bytes to a store that does not stage them', async () => {
    await using folder = await openFolder();
    const blob = sampleBlob(SIZE, 6);
    await leavePart(folder, blob);
    await using stages = await folder.open();
    const stage = stages.take('a', blob.digest, 300_000);
    const source = new PushSource();
    source.push(blob.bytes.subarray(300_000));
    source.end();
    const memory = new MemoryBlobStore();
    await memory.write(blob.digest, stage.source(source));
    expect((await readAll(memory, blob.digest))?.equals(blob.bytes)).toBe(true);
    stages.leave(stage, { isKept: false });
    await expect.poll(folder.files).toEqual([]);
  });
});
