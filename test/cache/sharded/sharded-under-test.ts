import type { BlobStore } from '../../../cache/blob-store.ts';
import { CacheNodes } from '../../../cache/sharded/cache-nodes.ts';
import { ShardedActionCache } from '../../../cache/sharded/sharded-action-cache.ts';
import { ShardedBlobStore } from '../../../cache/sharded/sharded-blob-store.ts';
import { type IngotError, unavailable } from '../../../core/error.ts';
import { MemoryActionCache } from '../../setup/memory-action-cache.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';

/** A node in memory that can be away, and counts what it is asked. */
export class MemoryNode {
  readonly name: string;
  readonly weight = 1;
  readonly blobs: MemoryBlobStore;
  readonly actionCache = new MemoryActionCache();
  failure: IngotError | undefined;
  calls = 0;

  constructor(name: string, blobs = new MemoryBlobStore()) {
    this.name = name;
    this.blobs = blobs;
  }

  goAway(): void {
    this.failure = unavailable(`${this.name} cannot be reached`);
    this.actionCache.failure = this.failure;
  }

  comeBack(): void {
    this.failure = undefined;
    this.actionCache.failure = undefined;
  }

  get blobStore(): BlobStore {
    return {
      findMissing: async (digests, options) => {
        this.#enter();
        return this.blobs.findMissing(digests, options);
      },
      read: async (digest, range, options) => {
        this.#enter();
        return this.blobs.read(digest, range, options);
      },
      write: async (digest, source, options) => {
        this.calls += 1;
        // As a connection that breaks: some of it has gone by then.
        if (this.failure !== undefined) {
          for await (const _chunk of source) break;
          throw this.failure;
        }
        await this.blobs.write(digest, source, options);
      },
    };
  }

  #enter(): void {
    this.calls += 1;
    if (this.failure !== undefined) throw this.failure;
  }
}

/** Three nodes; `shared` gives them one store, as a tier does. */
export function openSharded({ failover = true, shared = true } = {}) {
  const store = new MemoryBlobStore();
  const list = ['a:8982', 'b:8982', 'c:8982'].map((name) =>
    shared ? new MemoryNode(name, store) : new MemoryNode(name),
  );
  const logger = recordingLogger();
  const clock = { ms: 0 };
  const nodes = new CacheNodes({
    nodes: list,
    failover,
    logger,
    retry: { attemptsMax: 2, firstBackoffMs: 1, backoffMsMax: 1 },
    now: () => clock.ms,
  });
  return {
    list,
    nodes,
    logger,
    clock,
    store: new ShardedBlobStore({ nodes }),
    actionCache: new ShardedActionCache({ nodes }),
  };
}
