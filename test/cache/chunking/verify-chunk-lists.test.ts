import { readFile, rm, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { verifyChunkLists } from '../../../cache/chunking/verify-chunk-lists.ts';
import type { Digest } from '../../../core/digest.ts';
import { sampleBlob, sampleBytes } from '../bytes.ts';
import { openChunkedStore } from './chunked-store.ts';

const MIB = 1024 * 1024;

describe('verifyChunkLists', () => {
  it('tells whole blobs from those whose chunks are gone, damaged, or another blob', async () => {
    await using opened = await openChunkedStore();
    const [whole, incomplete, damaged] = [
      await opened.splice(sampleBytes(3 * MIB, 1)),
      await opened.splice(sampleBytes(3 * MIB, 2)),
      await opened.splice(sampleBytes(3 * MIB, 3)),
    ];
    const wrong = sampleBlob(3 * MIB, 4).digest;
    await opened.lists.put(wrong, whole.list);
    await opened.lose(incomplete.chunks[1]?.digest);
    const path = opened.pathOf(damaged.chunks[1]?.digest as Digest);
    const bytes = await readFile(path);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    await rm(path);
    await writeFile(path, bytes);

    const seen: [string, string][] = [];
    const { lists, files } = opened;
    for await (const { digest, state } of verifyChunkLists({
      lists,
      digests: lists.digests(),
      blobStore: files,
    })) {
      seen.push([digest.toString(), state]);
    }
    expect(seen).toEqual([
      [whole.digest.toString(), 'whole'],
      [incomplete.digest.toString(), 'incomplete'],
      [damaged.digest.toString(), 'damaged'],
      [wrong.toString(), 'wrong'],
    ]);
  });
});
