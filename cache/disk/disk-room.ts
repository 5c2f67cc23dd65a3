import { type IngotError, resourceExhausted } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import { diskFull, isDiskFull } from '../../core/file-error.ts';

/** Above this share of the limit eviction begins by itself, so that writers seldom wait for it. */
const HIGH_WATER = 0.97;
/** When the disk is fuller than the limit foresaw, so much of what is stored goes, but no less than the bytes below. */
const FULL_DISK_SHARE = 0.1;
const FULL_DISK_BYTES_MIN = 4 * 1024 * 1024;
/** Evictions waited for by one write. */
const TRIES_MAX = 2;
/** How long a client is asked to wait when nothing can be evicted: builds end, and leases with them. */
const RETRY_MS = 5_000;

/** What a {@link DiskRoom} depends on. */
export interface DiskRoomDependencies {
  readonly limitBytes: number;
  /** Eviction goes on down to here. */
  readonly lowWaterBytes: number;
  readonly storedBytes: () => number;
  /** Bytes of others on the disk that count too, and that eviction cannot free. */
  readonly besideBytes?: (() => number) | undefined;
  readonly evictTo: (targetBytes: number) => Promise<void>;
}

/** Sees to it that what is stored stays within the limit: makes room by eviction, or refuses. */
export class DiskRoom {
  readonly #dependencies: DiskRoomDependencies;
  #reservedBytes = 0;

  constructor(dependencies: DiskRoomDependencies) {
    this.#dependencies = dependencies;
  }

  /** What is not stored yet, or beside what is stored. */
  get #promisedBytes(): number {
    return this.#reservedBytes + (this.#dependencies.besideBytes?.() ?? 0);
  }

  /** Whether so many bytes may be written at once; begins to evict when it is getting tight. */
  hasRoom(bytes: number): boolean {
    const { limitBytes, lowWaterBytes, storedBytes, evictTo } = this.#dependencies;
    const wanted = storedBytes() + this.#promisedBytes + bytes;
    if (wanted > limitBytes * HIGH_WATER) {
      evictTo(lowWaterBytes).catch(() => {
        // Whoever needs the room learns of it in `reserve`.
      });
    }
    return wanted <= limitBytes;
  }

  /** Room for bytes that are about to be written; dispose of it when they are, or are not. RESOURCE_EXHAUSTED without. */
  async reserve(bytes: number, what: string): Promise<Disposable> {
    const { limitBytes, lowWaterBytes, evictTo } = this.#dependencies;
    if (bytes > limitBytes) {
      throw resourceExhausted(`Write ${what}: the cache keeps ${limitBytes} bytes in all, and this is more`);
    }
    for (let tries = 0; !this.hasRoom(bytes); tries++) {
      // The first may have been one that someone else wanted, for less.
      if (tries === TRIES_MAX) throw this.#full(what);
      await evictTo(Math.max(0, Math.min(lowWaterBytes, limitBytes - this.#promisedBytes - bytes)));
    }
    this.#reservedBytes += bytes;
    return {
      [Symbol.dispose]: () => {
        this.#reservedBytes -= bytes;
      },
    };
  }

  /**
   * Frees space when a write failed for want of it on the disk, though the limit is not reached. Returns the error to
   * give, which says when to try again; undefined when it was about something else.
   */
  async afterFailure(error: unknown, what: string): Promise<IngotError | undefined> {
    const cause = error instanceof Error ? error.cause : undefined;
    if (!isDiskFull(error) && !isDiskFull(cause)) return undefined;
    const { storedBytes, evictTo } = this.#dependencies;
    const stored = storedBytes();
    await evictTo(Math.max(0, stored - Math.max(FULL_DISK_BYTES_MIN, stored * FULL_DISK_SHARE)));
    return diskFull(error, `Write ${what}`);
  }

  #full(what: string): IngotError {
    const { limitBytes } = this.#dependencies;
    return resourceExhausted(
      `Write ${what}: the cache is full: builds under way hold what is in its ${limitBytes} bytes`,
      { details: [retryInfo(RETRY_MS)] },
    );
  }
}
