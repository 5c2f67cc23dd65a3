import type { Digest } from '../../core/digest.ts';
import { digestFunctionName } from '../../core/digest.ts';
import type { BlobHash } from '../blobs/blob-lookup.ts';

/** A blob that has a list. */
export interface ListedBlob {
  readonly digest: Digest;
  /** Length of its list. */
  readonly chunkCount: number;
}

/** What {@link ListedBlobs} may hold. */
export interface ListedBlobsLimits {
  readonly blobsMax: number;
  /** In all lists together. */
  readonly chunksMax: number;
}

/** The blobs that have chunk lists, in memory: about 350 bytes each. Knows which were used longest ago. */
export class ListedBlobs {
  readonly #limits: ListedBlobsLimits;
  /** By digest function and hash; least recently used first. */
  readonly #blobs = new Map<string, ListedBlob>();
  #chunkCount = 0;

  constructor(limits: ListedBlobsLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#blobs.size;
  }

  /** The digest of a listed blob, by hash alone. */
  find(blob: BlobHash): ListedBlob | undefined {
    return this.#blobs.get(keyOf(blob));
  }

  get(digest: Digest): ListedBlob | undefined {
    const listed = this.#blobs.get(keyOf(digest));
    return listed?.digest.sizeBytes === digest.sizeBytes ? listed : undefined;
  }

  /** Adds a blob as the one used last. */
  add(listed: ListedBlob): void {
    this.remove(listed.digest);
    this.#blobs.set(keyOf(listed.digest), listed);
    this.#chunkCount += listed.chunkCount;
  }

  /** Makes a blob the one used last. */
  touch(digest: Digest): void {
    const listed = this.get(digest);
    if (listed !== undefined) this.add(listed);
  }

  remove(digest: Digest): void {
    const listed = this.get(digest);
    if (listed === undefined) return;
    this.#blobs.delete(keyOf(digest));
    this.#chunkCount -= listed.chunkCount;
  }

  /** The blob that has to go so that the limits hold, if any. */
  surplus(): ListedBlob | undefined {
    const { blobsMax, chunksMax } = this.#limits;
    if (this.#blobs.size <= blobsMax && this.#chunkCount <= chunksMax) return undefined;
    const [oldest] = this.#blobs.values();
    return oldest;
  }

  /** All of them, as they are at the start. */
  digests(): Digest[] {
    return [...this.#blobs.values()].map(({ digest }) => digest);
  }
}

function keyOf({ digestFunction, hash }: BlobHash): string {
  return `${digestFunctionName(digestFunction)}-${hash}`;
}
