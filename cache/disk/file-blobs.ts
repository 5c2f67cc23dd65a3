import { readdirSync, statSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Digest, digestFunctionName, digestFunctions } from '../../core/digest.ts';
import { isIngotError } from '../../core/error.ts';
import { fileError } from '../../core/file-error.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { BlobFiles } from '../blobs/blob-files.ts';
import type { StagedFile } from '../blobs/staged-file.ts';
import { type BlobIndex, IN_FILE } from './blob-index.ts';
import { indexWordsOf } from './index-words.ts';
import { nowSeconds } from './now-seconds.ts';

/** Files whose last use is being written; of more at once some are left out. */
const TOUCHES_AT_ONCE = 64;

/** What {@link FileBlobs} depend on. */
export interface FileBlobsDependencies {
  readonly files: BlobFiles;
  readonly index: BlobIndex;
  readonly logger: Logger;
}

/** The blobs that are files of their own, and their place in the index. A file is in no instance until it is linked. */
export class FileBlobs {
  readonly #files: BlobFiles;
  readonly #index: BlobIndex;
  readonly #logger: Logger;
  /** Hashes of more than 32 bytes, by id: of those the index has only a short form. */
  readonly #longHashes = new Map<number, Pick<Digest, 'words' | 'tail'>>();
  /** Met at start, by path: files whose length is not their blob's, as far as that is known. */
  readonly #misfits = new Map<string, { readonly digest: Digest; readonly expectedBytes?: number }>();
  #touching = 0;

  constructor({ files, index, logger }: FileBlobsDependencies) {
    this.#files = files;
    this.#index = index;
    this.#logger = logger;
  }

  /** Enters all files into the index, in no instance, and says what they are. */
  async enterAll(): Promise<Digest[]> {
    const digests: Digest[] = [];
    for (const folder of await this.#files.layout.fanOutFolders()) {
      for (const name of readdirSync(folder)) {
        const digest = this.#enter(folder, name);
        if (digest !== undefined) digests.push(digest);
      }
      // The calls block, since they take 5 µs each; others get their turn between folders.
      await nextTurn();
    }
    return digests;
  }

  /** Notes, while the index is built, that a blob is known by another length than its file has. */
  noteMisfit(digest: Digest): void {
    this.#misfits.set(this.#files.layout.blobPath(digest), { digest, expectedBytes: digest.sizeBytes });
  }

  /** Takes away the files whose length shows that they are damaged, so that they count, and uploads heal them. */
  async expelMisfits(): Promise<void> {
    for (const { digest, expectedBytes } of this.#misfits.values()) {
      const id = this.#index.findHash(indexWordsOf(digest), digest.digestFunction);
      const isFile = id >= 0 && this.#index.segmentOf(id) === IN_FILE;
      // Files from before there were segments were linked under the length they had: what fits is right, the other not.
      if (isFile && !this.#index.instances.isEmpty(id)) continue;
      if (isFile) this.#forgetId(id);
      await this.#files.expelMisfit(digest, expectedBytes);
    }
    this.#misfits.clear();
  }

  /** Moves a staged file to its place; in the index it is in no instance yet. */
  async commit(staged: StagedFile, unless: () => boolean): Promise<void> {
    const { digest } = staged;
    await this.#files.commit(
      staged,
      () => unless() || this.#find(digest) >= 0,
      () => this.#add(digest, nowSeconds()),
    );
  }

  /** The digest of an entry that is a file. */
  digestOf(id: number): Digest {
    const hash = this.#longHashes.get(id) ?? { words: this.#index.wordsOf(id), tail: '' };
    return Digest.ofWords(hash, this.#index.sizeOf(id), this.#index.digestFunctionOf(id));
  }

  /** Deletes a blob's file; the entry goes first, so that nobody is told of it any more. */
  async evict(id: number): Promise<void> {
    const digest = this.digestOf(id);
    this.#forgetId(id);
    // Someone may store it again before its turn comes.
    await this.#files.remove(digest, () => this.#find(digest) >= 0);
  }

  /** Writes a file's last use to it. It may fail or be left out: the file then counts as used longer ago. */
  touch(digest: Digest, seconds: number): void {
    if (this.#touching >= TOUCHES_AT_ONCE) return;
    this.#touching += 1;
    utimes(this.#files.layout.blobPath(digest), seconds, seconds)
      .catch((error: unknown) => this.#logger.debug({ error }, 'the last use of a file could not be noted'))
      .finally(() => {
        this.#touching -= 1;
      });
  }

  /** Says that the file is gone. */
  forget(digest: Digest): void {
    const id = this.#find(digest);
    if (id >= 0 && this.#index.segmentOf(id) === IN_FILE) this.#forgetId(id);
  }

  #forgetId(id: number): void {
    this.#longHashes.delete(id);
    this.#index.remove(id);
  }

  #find(digest: Digest): number {
    return this.#index.find(indexWordsOf(digest), digest.digestFunction, digest.sizeBytes);
  }

  #add(digest: Digest, seconds: number): void {
    const words = indexWordsOf(digest);
    const { digestFunction, sizeBytes } = digest;
    // A file of the wrong length stood in its place.
    const wrong = this.#index.findHash(words, digestFunction);
    if (wrong >= 0) this.#forgetId(wrong);
    const id = this.#index.add({ words, digestFunction, sizeBytes }, seconds);
    // The id may have been that of a file with a longer hash, whose place a record took.
    if (digest.tail === '') this.#longHashes.delete(id);
    else this.#longHashes.set(id, { words: digest.words, tail: digest.tail });
    this.#index.place(id, IN_FILE, 0);
  }

  #enter(folder: string, name: string): Digest | undefined {
    try {
      const { size, mtimeMs } = statSync(join(folder, name));
      const digestFunction = functionNamed(basename(dirname(folder)));
      if (size === 0) {
        // Its blob was longer, by how much it does not say: no hash but that of nothing goes with no bytes.
        this.#misfits.set(join(folder, name), { digest: Digest.of(name, 1, digestFunction) });
        this.#logger.warn({ folder, name }, 'a file among the blobs is empty');
        return undefined;
      }
      const digest = Digest.of(name, size, digestFunction);
      this.#add(digest, Math.floor(mtimeMs / 1000));
      return digest;
    } catch (error) {
      if (!isIngotError(error)) throw fileError(error, 'Look for blobs');
      this.#logger.warn({ folder, name }, 'a file among the blobs is no blob');
      return undefined;
    }
  }
}

function functionNamed(name: string): (typeof digestFunctions)[number] | undefined {
  return digestFunctions.find((digestFunction) => digestFunctionName(digestFunction) === name);
}
