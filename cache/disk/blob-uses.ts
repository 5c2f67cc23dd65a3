import type { Digest } from '../../core/digest.ts';
import { IN_FILE } from './blob-index.ts';
import type { DiskParts } from './disk-parts.ts';
import type { InvocationLease } from './invocation-leases.ts';
import { nowSeconds } from './now-seconds.ts';
import type { Refresher } from './refresher.ts';

/** A file's last use is written to it at most once in so long, for the next start to know. */
const FILE_TOUCH_SECONDS = 3600;

/** Notes uses of blobs: when, for which build, and what that means for where they are. One for each call. */
export class BlobUses {
  readonly #parts: DiskParts;
  readonly #refresher: Refresher;
  readonly #lease: InvocationLease | undefined;
  readonly #seconds = nowSeconds();

  constructor(parts: DiskParts, refresher: Refresher, invocationId: string | undefined) {
    this.#parts = parts;
    this.#refresher = refresher;
    this.#lease = parts.leases.of(invocationId);
  }

  /** The blob is used now. */
  note(id: number, digest: Digest): void {
    const { index, fileBlobs } = this.#parts;
    const before = index.lastUseOf(id);
    index.use(id, this.#seconds);
    this.#lease?.add(id);
    if (index.segmentOf(id) !== IN_FILE) this.#refresher.touched(id, digest);
    else if (hourOf(before) !== hourOf(this.#seconds)) fileBlobs.touch(digest, this.#seconds);
  }
}

function hourOf(seconds: number): number {
  return Math.floor(seconds / FILE_TOUCH_SECONDS);
}
