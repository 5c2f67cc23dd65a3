import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LevelRecords } from '../../../cache/actions/level-records.ts';
import { EmptyBlobStore } from '../../../cache/blobs/empty-blob-store.ts';
import { ChunkedBlobStore } from '../../../cache/chunking/chunked-blob-store.ts';
import { ChunkedBytes } from '../../../cache/chunking/chunked-bytes.ts';
import { cutStream } from '../../../cache/chunking/cut-stream.ts';
import { announcedFastCdcParams } from '../../../cache/chunking/fast-cdc-params.ts';
import { LevelChunkLists } from '../../../cache/chunking/level-chunk-lists.ts';
import { Digest } from '../../../core/digest.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf } from '../../../core/streams.ts';
import { openDiskStore } from '../disk/open-disk-store.ts';

/** A store of blobs, each in a file, and chunk lists in a temporary folder. */
export async function openChunkedStore() {
  const disk = await openDiskStore({ smallBlobBytesMax: 0 });
  const { store: files, pathOf } = disk;
  const records = await LevelRecords.open({ folder: join(disk.folder, 'records'), logger: silentLogger });
  const lists = await LevelChunkLists.open({ records });
  const store = new EmptyBlobStore(new ChunkedBlobStore({ inner: files, lists }));
  return {
    files,
    records,
    lists,
    store,
    pathOf,
    /** Has a blob go, as if it were evicted. */
    async lose(digest: Digest | undefined) {
      if (digest === undefined) throw new Error('there is no blob to lose');
      await rm(pathOf(digest));
      // The store learns of a file that somebody deleted when it is read.
      if ((await files.read(digest)) !== undefined) throw new Error(`blob ${digest} is still there`);
    },
    /** Stores the chunks of the bytes, and then the blob as a list of them. */
    async splice(bytes: Uint8Array) {
      const { digest, chunks } = await cut(bytes);
      for (const chunk of chunks) await store.write(chunk.digest, bytesOf(chunk.bytes));
      const list = { chunks: chunks.map((chunk) => chunk.digest), chunkingFunction: 1 as const };
      await store.write(digest, new ChunkedBytes(list, store));
      return { digest, chunks, list };
    },
    async [Symbol.asyncDispose]() {
      await records.close();
      await disk[Symbol.asyncDispose]();
    },
  };
}

/** The blob's digest and its chunks, as every client cuts them. */
export async function cut(bytes: Uint8Array) {
  const chunks: { readonly digest: Digest; readonly bytes: Uint8Array }[] = [];
  for await (const chunk of cutStream(bytesOf(bytes), announcedFastCdcParams)) {
    chunks.push({ digest: Digest.ofBytes(chunk), bytes: chunk });
  }
  return { digest: Digest.ofBytes(bytes), chunks };
}
