import type { BigIntStats } from 'node:fs';
import { readdir, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCodeOf } from '../../core/file-error.ts';
import type { Logger } from '../../core/log/logger.ts';

/** Damaged files kept for someone to look at; beyond it they are removed at once, for disks that rot wholesale. */
const FILES_MAX = 64;

/** What a {@link Quarantine} depends on. */
export interface QuarantineDependencies {
  readonly folder: string;
  readonly logger: Logger;
}

/** What is known of a damaged blob. */
export interface BlobDamage {
  readonly hash: string;
  /** Absent when only its name is known. */
  readonly expectedBytes?: number | undefined;
  /** What its bytes are instead: a digest, or how many they are. */
  readonly seen: string;
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

  /** Takes the file at `path` if it still is the one that was looked at, and says whether. */
  async take(path: string, stats: BigIntStats, damage: BlobDamage): Promise<boolean> {
    // Another reader may have taken it, or an upload put a good one in its place.
    if ((await inodeOf(path)) !== stats.ino) return false;
    const kept = await this.#hasRoom();
    if (kept) await rename(path, join(this.#folder, damage.hash));
    else await unlink(path);
    this.#note(damage, kept);
    return true;
  }

  /** Keeps bytes that were found in the place of a blob, where the caller takes the blob itself out of the store. */
  async keep(bytes: Uint8Array, damage: BlobDamage): Promise<void> {
    let kept = await this.#hasRoom();
    try {
      if (kept) await writeFile(join(this.#folder, damage.hash), bytes);
    } catch (error) {
      // A copy for someone to look at is not worth failing for, say on a full disk.
      this.#logger.warn({ error, hash: damage.hash }, 'no copy of a damaged blob could be kept');
      kept = false;
    }
    this.#note(damage, kept);
  }

  async #hasRoom(): Promise<boolean> {
    return (await readdir(this.#folder)).length < FILES_MAX;
  }

  #note(damage: BlobDamage, kept: boolean): void {
    this.#count += 1;
    this.#logger.error({ ...damage, kept }, 'a damaged blob was taken out of the store');
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
