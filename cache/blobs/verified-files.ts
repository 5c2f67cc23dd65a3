import type { BigIntStats } from 'node:fs';

/** Files remembered; a file forgotten is hashed once more when it is read. About 200 bytes each. */
const FILES_MAX = 100_000;

/**
 * Which blob files were hashed since start and found right. A file counts as the one that was hashed while its
 * inode, length and change time are the same, so a write by anyone makes it unknown again.
 */
export class VerifiedFiles {
  readonly #marks = new Map<string, string>();

  has(path: string, stats: BigIntStats): boolean {
    return this.#marks.get(path) === markOf(stats);
  }

  add(path: string, stats: BigIntStats): void {
    this.#marks.delete(path);
    this.#marks.set(path, markOf(stats));
    if (this.#marks.size <= FILES_MAX) return;
    const [oldest] = this.#marks.keys();
    if (oldest !== undefined) this.#marks.delete(oldest);
  }
}

function markOf({ ino, size, ctimeNs }: BigIntStats): string {
  return `${ino} ${size} ${ctimeNs}`;
}
