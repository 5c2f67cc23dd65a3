import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GatheringWriter } from '../../../cache/blobs/gathering-writer.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { sampleBytes } from '../bytes.ts';

const KIB = 1024;

async function openFile() {
  const folder = await tempFolder();
  const path = join(folder.path, 'file');
  const handle = await open(path, 'wx+');
  return {
    handle,
    contents: () => readFile(path),
    async [Symbol.asyncDispose]() {
      await handle.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A handle whose writes wait, and count. */
function gated(handle: FileHandle) {
  const gate = Promise.withResolvers<void>();
  const sizes: number[] = [];
  const writev: FileHandle['writev'] = async (chunks, position) => {
    sizes.push(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0));
    await gate.promise;
    return handle.writev(chunks, position);
  };
  return { handle: { writev } as FileHandle, sizes, open: gate.resolve, break: gate.reject };
}

/** Whether it has resolved by the next turn. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const turn = new Promise((resolve) => setImmediate(resolve, false));
  return (await Promise.race([promise.then(() => true), turn])) === true;
}

describe('GatheringWriter', () => {
  it('writes small chunks in pieces, gives each back once, and begins where it is told', async () => {
    await using file = await openFile();
    await file.handle.write('head', 0);
    const returned: Uint8Array[] = [];
    using writer = new GatheringWriter({
      handle: file.handle,
      position: 4,
      giveBack: (chunk) => returned.push(chunk),
    });
    const chunks = Array.from({ length: 41 }, (_, at) => sampleBytes(16 * KIB + at, at));
    const handedOver: number[] = [];
    for (const [at, chunk] of chunks.entries()) if (await writer.append(chunk)) handedOver.push(at);
    expect(handedOver).toEqual([15, 31]);
    await writer.flush();
    expect(returned).toEqual(chunks);
    const bytes = Buffer.concat(chunks);
    expect(writer.writtenBytes).toBe(4 + bytes.length);
    expect((await file.contents()).equals(Buffer.concat([Buffer.from('head'), bytes]))).toBe(true);
  });

  it('gathers the next piece while one is written, and waits with the one after', async () => {
    await using file = await openFile();
    const { handle, sizes, open: release } = gated(file.handle);
    using writer = new GatheringWriter({ handle, position: 0 });
    const piece = sampleBytes(256 * KIB);
    expect(await writer.append(piece)).toBe(true);
    const second = writer.append(piece);
    expect(await isSettled(second)).toBe(false);
    expect(sizes).toEqual([256 * KIB]);
    release();
    expect(await second).toBe(true);
    await writer.flush();
    expect((await file.contents()).equals(Buffer.concat([piece, piece]))).toBe(true);
  });

  it('tells whoever appends or flushes next of a write that failed, and writes nothing behind it', async () => {
    await using file = await openFile();
    const { handle, sizes, break: fail } = gated(file.handle);
    using writer = new GatheringWriter({ handle, position: 0 });
    const piece = sampleBytes(256 * KIB);
    await writer.append(piece);
    fail(new Error('full'));
    await expect(writer.append(piece)).rejects.toThrow('full');
    await expect(writer.flush()).rejects.toThrow('full');
    expect(writer.writtenBytes).toBe(0);
    expect(sizes).toEqual([256 * KIB]);
  });

  it('writes smaller pieces, and waits for each, while all writers hold too much', async () => {
    await using file = await openFile();
    const held = Array.from({ length: 600 }, () => new GatheringWriter({ handle: file.handle, position: 0 }));
    for (const writer of held) await writer.append(sampleBytes(60 * KIB));
    const { handle, sizes, open: release } = gated(file.handle);
    using writer = new GatheringWriter({ handle, position: 0 });
    const appended = writer.append(sampleBytes(64 * KIB));
    expect(await isSettled(appended)).toBe(false);
    expect(sizes).toEqual([64 * KIB]);
    release();
    expect(await appended).toBe(true);
    for (const other of held) other[Symbol.dispose]();
    expect(await writer.append(sampleBytes(64 * KIB))).toBe(false);
  });
});
