import { mapConcurrent, Semaphore } from '../../core/concurrency.ts';
import { Digest } from '../../core/digest.ts';
import { notFound } from '../../core/error.ts';
import { bytesOf } from '../../core/streams.ts';
import { ChunkingFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { BlobSplitter } from './blob-splitter.ts';
import type { ChunkList } from './chunk-list.ts';
import type { ChunkLists } from './chunk-lists.ts';
import { CHUNKED_BLOB_BYTES_MIN } from './chunked-blob-store.ts';
import { cutStream } from './cut-stream.ts';
import { announcedFastCdcParams } from './fast-cdc-params.ts';
import { SharedTasks } from './shared-tasks.ts';

/** Blobs cut at once; each keeps a core busy and holds a few chunks in memory. */
const CUTS_AT_ONCE = 2;
/** Chunks whose presence is asked for, and which are written, at a time: 8 MiB on average, 32 at the most. */
const CHUNKS_AT_A_TIME = 16;
/** Of which are written at once. */
const WRITES_AT_ONCE = 4;

/** What a {@link CuttingBlobSplitter} depends on. */
export interface CuttingBlobSplitterDependencies {
  readonly lists: ChunkLists;
}

/**
 * Answers from the lists, and cuts a blob without one by FastCDC 2020: its chunks are stored, then the list is filed.
 * Callers that ask for one blob at the same time share the work. A blob below the size of the largest chunk is its own
 * only chunk.
 */
export class CuttingBlobSplitter implements BlobSplitter {
  readonly #lists: ChunkLists;
  readonly #cuts = new Semaphore(CUTS_AT_ONCE);
  readonly #cutting = new SharedTasks();

  constructor({ lists }: CuttingBlobSplitterDependencies) {
    this.#lists = lists;
  }

  async split(digest: Digest, store: BlobStore, options: BlobOptions = {}): Promise<ChunkList | undefined> {
    if ((await store.findMissing([digest], options)).length > 0) return undefined;
    if (digest.sizeBytes < CHUNKED_BLOB_BYTES_MIN) return fastCdcList(digest.isEmpty ? [] : [digest]);
    if (!this.#lists.has(digest)) {
      await this.#cutting.run(
        digest.key,
        (signal) => this.#cut(digest, store, { signal, invocationId: options.invocationId }),
        options,
      );
    }
    const list = await this.#lists.get(digest);
    return list !== undefined && (await restoreChunks(digest, list, { store, options })) ? list : undefined;
  }

  async #cut(digest: Digest, store: BlobStore, options: BlobOptions): Promise<void> {
    using _permit = await this.#cuts.acquire(options);
    const source = await store.read(digest, undefined, options);
    if (source === undefined) throw notFound(`Split ${digest}: the blob is not here`);
    const chunks: Digest[] = [];
    let group = new Map<string, { readonly digest: Digest; readonly bytes: Uint8Array }>();
    // The end of the stream says that the whole is right; before that nothing says of what the chunks are chunks.
    for await (const bytes of cutStream(source, announcedFastCdcParams)) {
      const chunk = Digest.ofBytes(bytes, digest.digestFunction);
      chunks.push(chunk);
      group.set(chunk.key, { digest: chunk, bytes });
      if (group.size < CHUNKS_AT_A_TIME) continue;
      await storeMissing(group, store, options);
      group = new Map();
    }
    await storeMissing(group, store, options);
    await this.#lists.put(digest, fastCdcList(chunks));
  }
}

function fastCdcList(chunks: readonly Digest[]): ChunkList {
  return { chunks, chunkingFunction: ChunkingFunction_Value.FAST_CDC_2020 };
}

async function storeMissing(
  group: ReadonlyMap<string, { readonly digest: Digest; readonly bytes: Uint8Array }>,
  store: BlobStore,
  options: BlobOptions,
): Promise<void> {
  const missing = await store.findMissing(
    [...group.values()].map(({ digest }) => digest),
    options,
  );
  await mapConcurrent(
    missing,
    WRITES_AT_ONCE,
    async (digest, signal) => {
      const chunk = group.get(digest.key);
      if (chunk !== undefined) await store.write(digest, bytesOf(chunk.bytes), { ...options, signal });
    },
    options,
  );
}

/**
 * Makes every chunk present for the store's caller: one that was evicted, or is another instance's, comes out of the
 * whole. False when the whole is gone too.
 */
async function restoreChunks(
  digest: Digest,
  list: ChunkList,
  { store, options }: { readonly store: BlobStore; readonly options: BlobOptions },
): Promise<boolean> {
  const missing = new Set((await store.findMissing(list.chunks, options)).map(({ key }) => key));
  if (missing.size === 0) return true;
  let offset = 0;
  for (const chunk of list.chunks) {
    if (missing.delete(chunk.key)) {
      const source = await store.read(digest, { offset, limit: chunk.sizeBytes }, options);
      if (source === undefined) return false;
      await store.write(chunk, source, options);
    }
    offset += chunk.sizeBytes;
  }
  return true;
}
