import { randomBytes } from 'node:crypto';
import { Digest } from '../../core/digest.ts';
import { toIngotError } from '../../core/error.ts';
import { bytesOf } from '../../core/streams.ts';
import type { BlobStore } from '../blob-store.ts';
import type { CacheCounters } from '../metered/cache-counters.ts';

/** A store that could not write is tried again no more often than this. */
const PROBE_EVERY_MS = 1_000;
const PROBE_BYTES = 16;

/** What a {@link CacheHealth} depends on. */
export interface CacheHealthDependencies {
  /** Metered by `counters`. */
  readonly blobStore: BlobStore;
  readonly counters: CacheCounters;
  /** Milliseconds that never go back. */
  readonly now?: () => number;
}

/**
 * Whether a cache does its work. Once a write has failed it writes a few bytes of its own when asked, since a load
 * balancer that hears of the failure sends no more writes from which to learn that it is over.
 */
export class CacheHealth {
  readonly #dependencies: CacheHealthDependencies;
  readonly #now: () => number;
  #closing = false;
  #probedMs = Number.NEGATIVE_INFINITY;
  #probe: Promise<void> | undefined;

  constructor(dependencies: CacheHealthDependencies) {
    this.#dependencies = dependencies;
    this.#now = dependencies.now ?? (() => performance.now());
  }

  /** From now on it is unhealthy. */
  close(): void {
    this.#closing = true;
  }

  /** What is wrong, in a line; undefined when all is well. */
  async problem(): Promise<string | undefined> {
    const { counters } = this.#dependencies;
    if (!this.#closing && counters.writeProblem !== undefined) await this.#probeStore();
    if (this.#closing) return 'the cache is closing';
    return counters.writeProblem === undefined
      ? undefined
      : `the store cannot write: ${counters.writeProblem}`;
  }

  async #probeStore(): Promise<void> {
    if (this.#probe === undefined && this.#now() - this.#probedMs >= PROBE_EVERY_MS) {
      this.#probedMs = this.#now();
      this.#probe = this.#writeSomething().finally(() => {
        this.#probe = undefined;
      });
    }
    await this.#probe;
  }

  async #writeSomething(): Promise<void> {
    const { blobStore, counters } = this.#dependencies;
    const bytes = randomBytes(PROBE_BYTES);
    try {
      await blobStore.write(Digest.ofBytes(bytes), bytesOf(bytes));
    } catch (error) {
      // The same, or another reason; the store's meter does not note all of them.
      counters.writeProblem = toIngotError(error).message;
    }
  }
}
