import type { Digest } from '../../core/digest.ts';
import { TimeSlice } from '../../core/time-slice.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { ChunkLists } from './chunk-lists.ts';

/** Digests of one question to the store: about what a call asks for at once, plus one blob's chunks. */
const QUESTION_DIGESTS = 2048;

interface FindMissingChunkedOptions {
  readonly inner: BlobStore;
  readonly lists: ChunkLists;
  readonly options: BlobOptions | undefined;
}

/** What is asked of the store at once. */
class Question {
  /** Whole blobs and chunks, each once. */
  readonly digests = new Map<string, Digest>();
  readonly blobs: { readonly digest: Digest; readonly chunks: readonly Digest[] | undefined }[] = [];

  add(digest: Digest, chunks: readonly Digest[] | undefined): void {
    this.blobs.push({ digest, chunks });
    this.digests.set(digest.key, digest);
    for (const chunk of chunks ?? []) this.digests.set(chunk.key, chunk);
  }
}

/**
 * Those of the digests that are present neither as a whole nor as all of their chunks. The store is asked for blobs
 * and chunks in one go, which is a use of both. A list whose chunks have gone stays: they may come again, or be there
 * for another instance.
 */
export async function findMissingChunked(
  digests: readonly Digest[],
  { inner, lists, options }: FindMissingChunkedOptions,
): Promise<Digest[]> {
  const slice = new TimeSlice();
  const found: Digest[] = [];
  let question = new Question();

  const ask = async ({ digests: asked, blobs }: Question): Promise<void> => {
    const missing = new Set((await inner.findMissing([...asked.values()], options)).map(({ key }) => key));
    for (const { digest, chunks } of blobs) {
      const isThereAsChunks = chunks?.every(({ key }) => !missing.has(key)) === true;
      if (missing.has(digest.key) && !isThereAsChunks) found.push(digest);
    }
  };

  for (const digest of new Map(digests.map((asked) => [asked.key, asked])).values()) {
    const list = lists.has(digest) ? await lists.get(digest) : undefined;
    question.add(digest, list?.chunks);
    if (question.digests.size < QUESTION_DIGESTS) continue;
    await ask(question);
    question = new Question();
    await slice.pause();
  }
  if (question.digests.size > 0) await ask(question);
  return found;
}
