import { Digest, digestFunctionName, digestFunctions } from '../../core/digest.ts';
import { isIngotError } from '../../core/error.ts';
import { type FailPoints, noFailPoints } from '../../core/fail-point.ts';
import { KeyedMutex } from '../../core/keyed-mutex.ts';
import { SplitBlobResponse } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { LevelRecords } from '../actions/level-records.ts';
import type { BlobHash } from '../blobs/blob-lookup.ts';
import type { ChunkList } from './chunk-list.ts';
import type { ChunkLists } from './chunk-lists.ts';
import { type ListedBlob, ListedBlobs } from './listed-blobs.ts';

/** Lists kept in all: of blobs of 2 MiB at the least, so of 400 GiB or more. Those used longest ago go. */
const LISTS_MAX = 200_000;
/** Chunks in all lists: 8 TiB in chunks of 512 KiB, and 1.2 GB of records. */
const LISTED_CHUNKS_MAX = 16_000_000;
/** Chunks of lists kept decoded, about 300 bytes each: reading a blob in many ranges decodes its list once. */
const CACHED_CHUNKS_MAX = 64_000;

/** Key space of the lists, beside those of the action cache. */
const PREFIX = 'chunks\0';

/** Where a process can be made to die while it files a list. */
export const chunkListFailPoints = ['chunks.before_list', 'chunks.after_list'] as const;

/** What {@link LevelChunkLists} depends on. */
export interface LevelChunkListsDependencies {
  readonly records: LevelRecords;
  readonly failPoints?: FailPoints;
  readonly listsMax?: number;
  readonly chunksMax?: number;
}

/** Chunk lists as checksummed records in Level; which blobs have one is known in memory. */
export class LevelChunkLists implements ChunkLists {
  readonly #records: LevelRecords;
  readonly #failPoints: FailPoints;
  readonly #blobs: ListedBlobs;
  readonly #changes = new KeyedMutex();
  /** Decoded lists; least recently used first. */
  readonly #cached = new Map<string, ChunkList>();
  #cachedChunks = 0;

  private constructor({ records, failPoints, listsMax, chunksMax }: LevelChunkListsDependencies) {
    this.#records = records;
    this.#failPoints = failPoints ?? noFailPoints;
    this.#blobs = new ListedBlobs({
      blobsMax: listsMax ?? LISTS_MAX,
      chunksMax: chunksMax ?? LISTED_CHUNKS_MAX,
    });
  }

  /** Reads the names of all listed blobs. */
  static async open(dependencies: LevelChunkListsDependencies): Promise<LevelChunkLists> {
    const lists = new LevelChunkLists(dependencies);
    for await (const key of dependencies.records.keys(PREFIX)) {
      const listed = parseKey(key);
      if (listed !== undefined) lists.#blobs.add(listed);
    }
    return lists;
  }

  /** How many blobs have a list. */
  get size(): number {
    return this.#blobs.size;
  }

  /** The blobs that have a list now. */
  digests(): readonly Digest[] {
    return this.#blobs.digests();
  }

  has(digest: Digest): boolean {
    return this.#blobs.get(digest) !== undefined;
  }

  find(blob: BlobHash): Digest | undefined {
    return this.#blobs.find(blob)?.digest;
  }

  async get(digest: Digest): Promise<ChunkList | undefined> {
    const listed = this.#blobs.get(digest);
    if (listed === undefined) return undefined;
    this.#blobs.touch(digest);
    const cached = this.#cached.get(digest.key);
    if (cached !== undefined) {
      this.#cache(digest, cached);
      return cached;
    }
    const value = await this.#records.get(formatKey(listed));
    if (value === undefined) {
      // It was dropped meanwhile, or is damaged and can never be read again.
      await this.drop(digest);
      return undefined;
    }
    const list = decode(value, digest);
    if (this.has(digest)) this.#cache(digest, list);
    return list;
  }

  async put(digest: Digest, list: ChunkList): Promise<void> {
    const listed = { digest, chunkCount: list.chunks.length };
    await this.#changes.run(digest.key, async () => {
      if (this.has(digest)) return;
      this.#failPoints.pass('chunks.before_list');
      await this.#records.put(formatKey(listed), encode(list));
      this.#failPoints.pass('chunks.after_list');
      this.#blobs.add(listed);
      this.#cache(digest, list);
    });
    for (let over = this.#blobs.surplus(); over !== undefined; over = this.#blobs.surplus()) {
      await this.drop(over.digest);
    }
  }

  async drop(digest: Digest): Promise<void> {
    await this.#changes.run(digest.key, async () => {
      const listed = this.#blobs.get(digest);
      if (listed === undefined) return;
      this.#blobs.remove(digest);
      this.#uncache(digest);
      await this.#records.remove(formatKey(listed));
    });
  }

  #cache(digest: Digest, list: ChunkList): void {
    this.#uncache(digest);
    this.#cached.set(digest.key, list);
    this.#cachedChunks += list.chunks.length;
    for (const [key, oldest] of this.#cached) {
      if (this.#cachedChunks <= CACHED_CHUNKS_MAX) return;
      this.#cached.delete(key);
      this.#cachedChunks -= oldest.chunks.length;
    }
  }

  #uncache(digest: Digest): void {
    const list = this.#cached.get(digest.key);
    if (list === undefined) return;
    this.#cached.delete(digest.key);
    this.#cachedChunks -= list.chunks.length;
  }
}

function encode({ chunks, chunkingFunction }: ChunkList): Uint8Array {
  const chunkDigests = chunks.map((chunk) => chunk.toMessage());
  return SplitBlobResponse.encode({ chunkDigests, chunkingFunction }).finish();
}

function decode(value: Uint8Array, { digestFunction }: Digest): ChunkList {
  const { chunkDigests, chunkingFunction } = SplitBlobResponse.decode(value);
  return {
    chunks: chunkDigests.map((message) => Digest.fromMessage(message, digestFunction)),
    chunkingFunction,
  };
}

function formatKey({ digest, chunkCount }: ListedBlob): string {
  const { digestFunction, hash, sizeBytes } = digest;
  return `${PREFIX}${digestFunctionName(digestFunction)}\0${hash}\0${sizeBytes}\0${chunkCount}`;
}

/** Reads what {@link formatKey} wrote; undefined for anything else, which is then never looked at. */
function parseKey(key: string): ListedBlob | undefined {
  const [name, hash = '', sizeBytes, chunkCount] = key.slice(PREFIX.length).split('\0');
  const digestFunction = digestFunctions.find((value) => digestFunctionName(value) === name);
  if (digestFunction === undefined) return undefined;
  try {
    return {
      digest: Digest.of(hash, Number(sizeBytes), digestFunction),
      chunkCount: Number(chunkCount),
    };
  } catch (error) {
    if (isIngotError(error)) return undefined;
    throw error;
  }
}
