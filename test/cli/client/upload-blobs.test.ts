import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { InputBlob } from '../../../cli/client/input-blob.ts';
import { uploadBlobs } from '../../../cli/client/upload-blobs.ts';
import { Digest } from '../../../core/digest.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';
import { tempFolder } from '../temp-folder.ts';

function blobs(...list: InputBlob[]): Map<string, InputBlob> {
  return new Map(list.map((blob) => [blob.digest.key, blob]));
}

function inMemory(text: string): InputBlob {
  const bytes = Buffer.from(text);
  return { digest: Digest.ofBytes(bytes), bytes };
}

describe('uploadBlobs', () => {
  it('sends only what the store lacks', async () => {
    const store = new MemoryBlobStore();
    store.add('one');
    const seen: number[] = [];
    const totals = await uploadBlobs(store, blobs(inMemory('one'), inMemory('three')), {
      onProgress: (done, total) => seen.push(done, total),
    });
    expect(totals).toEqual({ uploadedCount: 1, uploadedBytes: 5 });
    expect(store.written).toEqual([Digest.ofBytes(Buffer.from('three')).hash]);
    expect(seen).toEqual([0, 5, 5, 5]);
  });

  it('reads files', async () => {
    const path = join(tempFolder(), 'f');
    const text = 'x'.repeat(600_000);
    writeFileSync(path, text);
    const digest = Digest.ofBytes(Buffer.from(text));
    const store = new MemoryBlobStore();
    await uploadBlobs(store, blobs({ digest, path }));
    expect(store.blobs.get(digest.key)?.toString()).toBe(text);
  });

  it('refuses a file that changed after it was hashed, before its last byte is sent', async () => {
    const path = join(tempFolder(), 'f');
    writeFileSync(path, 'new');
    const digest = Digest.ofBytes(Buffer.from('old'));
    const store = new MemoryBlobStore();
    await expect(uploadBlobs(store, blobs({ digest, path }))).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: `upload "${path}": its bytes are ${Digest.ofBytes(Buffer.from('new'))}, expected ${digest}: it changed after it was hashed`,
    });
    expect(store.written).toEqual([]);
  });

  it('names a file that is gone', async () => {
    const path = join(tempFolder(), 'gone');
    const { digest } = inMemory('old');
    await expect(uploadBlobs(new MemoryBlobStore(), blobs({ digest, path }))).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: `upload "${path}": no such file or directory`,
    });
  });
});
