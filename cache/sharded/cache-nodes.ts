import { delay, throwIfAborted } from '../../core/abort.ts';
import { CircuitBreaker } from '../../core/circuit-breaker.ts';
import { type IngotError, isIngotError, unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { HashWords } from '../../core/hash-words.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import { defaultRetryPolicy, type RetryPolicy, retryDelayMs } from '../../core/rpc/rpc-retry-policy.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { ActionCache } from '../action-cache.ts';
import type { BlobStore } from '../blob-store.ts';
import { Rendezvous, type RendezvousNode } from './rendezvous.ts';

/** Calls in a row that a node did not answer, after which it is passed over. Few: each costs a caller its wait. */
const FAILURES_MAX = 3;
/** How long it is passed over then, before one call tries it again. */
const OPEN_MS = 5_000;

/** One of several caches. */
export interface CacheNode extends RendezvousNode {
  readonly blobStore: BlobStore;
  readonly actionCache: ActionCache;
}

/** What {@link CacheNodes} depend on. */
export interface CacheNodesDependencies {
  readonly nodes: readonly CacheNode[];
  /** Asks the next node in the key's order when its own is away: for nodes over one tier, any of which can answer. */
  readonly failover: boolean;
  readonly logger: Logger;
  /** For when every node that may answer is away. */
  readonly retry?: RetryPolicy;
  readonly random?: () => number;
  /** Milliseconds that never go back. */
  readonly now?: () => number;
}

/** A node, and whether it is away. */
export interface WatchedNode extends RendezvousNode {
  readonly node: CacheNode;
  readonly breaker: CircuitBreaker;
}

/** The caches that share out the keys, and which of them are away. */
export class CacheNodes {
  readonly #rendezvous: Rendezvous<WatchedNode>;
  readonly #failover: boolean;
  readonly #retry: RetryPolicy;
  readonly #random: () => number;

  constructor({ nodes, failover, logger, retry, random, now }: CacheNodesDependencies) {
    this.#rendezvous = new Rendezvous(
      nodes.map((node) => {
        const { name, weight } = node;
        return { name, weight, node, breaker: breakerOf(name, logger, now) };
      }),
    );
    this.#failover = failover;
    this.#retry = retry ?? defaultRetryPolicy;
    this.#random = random ?? Math.random;
  }

  /** Those that may answer for the key, in the order in which they are asked. */
  candidates(key: HashWords): WatchedNode[] {
    const order = this.#rendezvous.order(key);
    return this.#failover ? order : order.slice(0, 1);
  }

  /** The call's result from the first candidate that is not away. When all are it tries again, as with one cache. */
  async run<R>(
    key: HashWords,
    call: (node: CacheNode) => Promise<R>,
    options: IoOptions & { mayRepeat?(): boolean } = {},
  ): Promise<R> {
    return this.patiently(async () => {
      let failure: IngotError | undefined;
      for (const { node, breaker } of this.candidates(key)) {
        if (failure !== undefined && options.mayRepeat?.() === false) break;
        try {
          return await breaker.run(() => call(node));
        } catch (error) {
          throwIfAborted(options.signal);
          if (!isIngotError(error) || !isAway(error)) throw error;
          failure = error;
        }
      }
      throw failure ?? unavailable('no cache node is known');
    }, options);
  }

  /** Repeats a task that found every node away; with patience for a restart. Its last failure says when to try again. */
  async patiently<R>(
    task: () => Promise<R>,
    { signal, mayRepeat }: IoOptions & { mayRepeat?(): boolean } = {},
  ): Promise<R> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await task();
      } catch (error) {
        if (!isIngotError(error) || !isAway(error)) throw error;
        const delayMs =
          mayRepeat?.() === false
            ? undefined
            : retryDelayMs(this.#retry, attempt, { error, random: this.#random });
        // By then a node that is passed over is asked again.
        if (delayMs === undefined)
          throw unavailable(error.message, { cause: error, details: [retryInfo(OPEN_MS)] });
        await delay(delayMs, { signal });
      }
    }
  }
}

/** What a node says of itself comes with the time to wait; what has none was said for it: it cannot be reached. */
export function isAway(error: IngotError): boolean {
  return error.code === Code.UNAVAILABLE && error.details.length === 0;
}

function breakerOf(name: string, logger: Logger, now: (() => number) | undefined): CircuitBreaker {
  return new CircuitBreaker({
    failuresMax: FAILURES_MAX,
    openMs: OPEN_MS,
    isFailure: isAway,
    refusal: () => unavailable(`the cache node ${name} is away`),
    onChange: (isOpen) => {
      if (isOpen) logger.warn({ node: name, openMs: OPEN_MS }, 'a cache node is away');
      else logger.info({ node: name }, 'a cache node is back');
    },
    ...(now === undefined ? {} : { now }),
  });
}
