import { throwIfAborted } from '../../core/abort.ts';
import { mapConcurrent } from '../../core/concurrency.ts';
import type { Digest } from '../../core/digest.ts';
import { type IngotError, isIngotError, unavailable } from '../../core/error.ts';
import { WholeBytes } from '../../core/streams.ts';
import type { BlobOptions, BlobStore, ByteRange } from '../blob-store.ts';
import { isRestartable } from '../remote/restartable-source.ts';
import { type CacheNodes, isAway, type WatchedNode } from './cache-nodes.ts';
import { ReplayableSource } from './replayable-source.ts';

/** What is kept of a stream so that it can be sent to another node: a small blob whole. */
const REPLAYED_BYTES_MAX = 256 * 1024;
/** Nodes asked at once by one findMissing. */
const NODES_AT_ONCE = 16;

/** What a {@link ShardedBlobStore} depends on. */
export interface ShardedBlobStoreDependencies {
  readonly nodes: CacheNodes;
}

/**
 * The blobs of several caches, each in the one its digest chooses. When that one is away another answers, where they
 * may; a large upload that broke off after its first bytes is UNAVAILABLE, since they cannot be had again, unless its
 * source can be restarted. A download that breaks off is UNAVAILABLE, and the next try goes elsewhere.
 */
export class ShardedBlobStore implements BlobStore {
  readonly #nodes: CacheNodes;

  constructor({ nodes }: ShardedBlobStoreDependencies) {
    this.#nodes = nodes;
  }

  async findMissing(digests: readonly Digest[], options: BlobOptions = {}): Promise<Digest[]> {
    throwIfAborted(options.signal);
    const missing = await this.#nodes.patiently(
      () => this.#findMissing(digests, new Set(), options),
      options,
    );
    return [...new Map(missing.map((digest) => [digest.key, digest])).values()];
  }

  read(
    digest: Digest,
    range?: ByteRange,
    options: BlobOptions = {},
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#nodes.run(digest.words, ({ blobStore }) => blobStore.read(digest, range, options), options);
  }

  async write(digest: Digest, source: AsyncIterable<Uint8Array>, options: BlobOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    if (source instanceof WholeBytes || isRestartable(source)) {
      await this.#nodes.run(
        digest.words,
        ({ blobStore }) => blobStore.write(digest, source, options),
        options,
      );
      return;
    }
    const replayable = new ReplayableSource(source, REPLAYED_BYTES_MAX);
    try {
      await this.#nodes.run(digest.words, ({ blobStore }) => blobStore.write(digest, replayable, options), {
        ...options,
        mayRepeat: () => replayable.canReplay,
      });
    } finally {
      // Not waited for: a source that keeps us waiting would do so here as well.
      replayable.close().catch(() => {
        // It failed while it was being given up; whoever gave it up has the better reason.
      });
    }
  }

  /** Asks each digest's node, all at once; then those of nodes that were away where they may be asked for next. */
  async #findMissing(
    digests: readonly Digest[],
    away: ReadonlySet<string>,
    options: BlobOptions,
  ): Promise<Digest[]> {
    const byNode = Map.groupBy(digests, (digest) => this.#nodeOf(digest, away));
    const results = await mapConcurrent(
      byNode,
      NODES_AT_ONCE,
      async ([watched, ofNode], signal): Promise<Answer> => {
        const { node, breaker } = watched;
        try {
          const found = await breaker.run(() =>
            node.blobStore.findMissing(ofNode, { invocationId: options.invocationId, signal }),
          );
          return { missing: found };
        } catch (error) {
          throwIfAborted(signal);
          if (!isIngotError(error) || !isAway(error)) throw error;
          return { missing: [], unasked: ofNode, node: watched, error };
        }
      },
      options,
    );
    const missing = results.flatMap((answer) => answer.missing);
    const unasked = results.flatMap((answer) => answer.unasked ?? []);
    if (unasked.length === 0) return missing;
    const nowAway = new Set([...away, ...results.flatMap(({ node }) => node?.name ?? [])]);
    const [failed] = results.flatMap(({ error }) => error ?? []);
    if (!unasked.every((digest) => this.#hasNode(digest, nowAway))) {
      throw failed ?? unavailable('no cache node is known');
    }
    return [...missing, ...(await this.#findMissing(unasked, nowAway, options))];
  }

  #nodeOf(digest: Digest, away: ReadonlySet<string>): WatchedNode {
    const node = this.#nodes.candidates(digest.words).find(({ name }) => !away.has(name));
    if (node === undefined) throw unavailable('no cache node is known');
    return node;
  }

  #hasNode(digest: Digest, away: ReadonlySet<string>): boolean {
    return this.#nodes.candidates(digest.words).some(({ name }) => !away.has(name));
  }
}

interface Answer {
  readonly missing: readonly Digest[];
  /** Of a node that was away. */
  readonly unasked?: readonly Digest[];
  readonly node?: WatchedNode;
  readonly error?: IngotError;
}
