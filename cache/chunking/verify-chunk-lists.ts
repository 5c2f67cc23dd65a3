import { type Digest, DigestHasher } from '../../core/digest.ts';
import { isIngotError } from '../../core/error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { ChunkLists } from './chunk-lists.ts';
import { ChunkedBytes } from './chunked-bytes.ts';

/** What was found of a blob that has a chunk list. */
export interface VerifiedChunkList {
  readonly digest: Digest;
  /**
   * `whole`: its chunks are there and are the blob. `incomplete`: chunks are gone, which eviction may do at any time.
   * `damaged`: a chunk that is there has other bytes. `wrong`: the chunks are right and make up another blob.
   */
  readonly state: 'whole' | 'incomplete' | 'damaged' | 'wrong';
}

/** What {@link verifyChunkLists} looks at. */
export interface VerifyChunkListsOptions extends BlobOptions {
  readonly lists: Pick<ChunkLists, 'get'>;
  readonly digests: Iterable<Digest>;
  /** Holds the chunks, and verifies what it reads. */
  readonly blobStore: BlobStore;
}

/** Reads every listed blob out of its chunks and hashes it; one answer a blob, as it goes. Changes nothing itself. */
export async function* verifyChunkLists({
  lists,
  digests,
  blobStore,
  ...options
}: VerifyChunkListsOptions): AsyncGenerator<VerifiedChunkList, void, undefined> {
  for (const digest of digests) {
    const list = await lists.get(digest);
    if (list === undefined) continue;
    const missing = await blobStore.findMissing(list.chunks, options);
    if (missing.length > 0) {
      yield { digest, state: 'incomplete' };
      continue;
    }
    yield { digest, state: await check(digest, new ChunkedBytes(list, blobStore, options)) };
  }
}

async function check(digest: Digest, source: ChunkedBytes): Promise<VerifiedChunkList['state']> {
  const hasher = new DigestHasher(digest.digestFunction);
  try {
    for await (const bytes of source) hasher.update(bytes);
  } catch (error) {
    // A small chunk that is damaged is absent when it is read, a large one breaks off.
    if (isIngotError(error, Code.DATA_LOSS) || isIngotError(error, Code.NOT_FOUND)) return 'damaged';
    throw error;
  }
  return hasher.digest().equals(digest) ? 'whole' : 'wrong';
}
