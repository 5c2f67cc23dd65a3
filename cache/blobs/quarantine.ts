import type { BigIntStats } from 'node:fs';
import { readdir, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../../core/digest.ts';
import { systemCodeOf } from '../../core/file-error.ts';
import type { Logger } from '../../core/log/logger.ts';

/** Damaged files kept for someone to look at; beyond it they are removed at once, for disks that rot wholesale. */
const FILES_MAX = 64;

/** What a {@link Quarantine} depends on. */
export interface QuarantineDependencies {
  readonly folder: string;
  readonly logger: Logger;
}

/** Takes damaged blob files out of the way, so that the blob is absent and its next upload heals it. */
export class Quarantine {
  readonly #folder: string;
  readonly #logger: Logger;
  #count = 0;

  constructor({ folder, logger }: QuarantineDependencies) {
    this.#folder = folder;
    this.#logger = logger;
  }

  /** Files taken since start. */
  get count(): number {
    return this.#count;
  }

  /** Takes the file at `path` if it still is the one described, and says whether; `seen` is what its bytes are. */
  async take(
    path: string,
    damaged: { readonly digest: Digest; readonly seen: Digest; readonly stats: BigIntStats },
  ): Promise<boolean> {
    const { digest, seen, stats } = damaged;
    // Another reader may have taken it, or an upload put a good one in its place.
    if ((await inodeOf(path)) !== stats.ino) return false;
    const kept = await this.#hasRoom();
    if (kept) await rename(path, join(this.#folder, digest.hash));
    else await unlink(path);
    this.#note(digest, seen, kept);
    return true;
  }

  /** Keeps bytes that were found in the place of a blob, where the caller takes the blob itself out of the store. */
  async keep(
    bytes: Uint8Array,
    { digest, seen }: { readonly digest: Digest; readonly seen: Digest },
  ): Promise<void> {
    let kept = await this.#hasRoom();
    try {
      if (kept) await writeFile(join(this.#folder, digest.hash), bytes);
    } catch (error) {
      // A copy for someone to look at is not worth failing for, say on a full disk.
      this.#logger.warn({ error, hash: digest.hash }, 'no copy of a damaged blob could be kept');
      kept = false;
    }
    this.#note(digest, seen, kept);
  }

  async #hasRoom(): Promise<boolean> {
    return (await readdir(this.#folder)).length < FILES_MAX;
  }

  #note(digest: Digest, seen: Digest, kept: boolean): void {
    this.#count += 1;
    this.#logger.error(
      { hash: digest.hash, expectedBytes: digest.sizeBytes, seen: seen.toString(), kept },
      'a damaged blob was taken out of the store',
    );
  }
}

async function inodeOf(path: string): Promise<bigint | undefined> {
  try {
    return (await stat(path, { bigint: true })).ino;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
