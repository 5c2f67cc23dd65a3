import { CircuitBreaker } from '../../core/circuit-breaker.ts';
import { type IngotError, isIngotError, unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type {
  ObjectBody,
  ObjectFacts,
  ObjectReadOptions,
  ObjectSource,
  ObjectStore,
} from './object-store.ts';

/** Failures in a row that mean it is away: one lost connection is not, a few in a row at any load are. */
const FAILURES_MAX = 5;
/** How long nothing is asked of it then. A build waits this much longer after it is back, at most. */
const OPEN_MS = 5_000;

/** What a {@link BreakingObjectStore} depends on. */
export interface BreakingObjectStoreDependencies {
  readonly inner: ObjectStore;
  readonly logger: Logger;
  readonly now?: () => number;
}

/**
 * Answers UNAVAILABLE at once, with the time to wait, while the object store behind it is away, so that nobody waits
 * out its timeout again and again. One call in each five seconds tries whether it is back.
 */
export class BreakingObjectStore implements ObjectStore {
  readonly #inner: ObjectStore;
  readonly #breaker: CircuitBreaker;

  constructor({ inner, logger, now }: BreakingObjectStoreDependencies) {
    this.#inner = inner;
    this.#breaker = new CircuitBreaker({
      failuresMax: FAILURES_MAX,
      openMs: OPEN_MS,
      isFailure: isAway,
      refusal: (waitMs) =>
        unavailable('the object store is away', { details: [retryInfo(Math.max(waitMs, 100))] }),
      onChange: (isOpen) => {
        if (isOpen) logger.warn({ openMs: OPEN_MS }, 'the object store is away');
        else logger.info({}, 'the object store is back');
      },
      ...(now === undefined ? {} : { now }),
    });
  }

  /** It is taken for away now. */
  get isAway(): boolean {
    return this.#breaker.isOpen;
  }

  head(key: string, options?: IoOptions): Promise<ObjectFacts | undefined> {
    return this.#breaker.run(() => this.#inner.head(key, options));
  }

  async get(key: string, options?: ObjectReadOptions): Promise<ObjectBody | undefined> {
    const body = await this.#breaker.run(() => this.#inner.get(key, options));
    return body === undefined ? undefined : { ...body, bytes: this.#watched(body.bytes) };
  }

  async put(key: string, source: ObjectSource, options?: IoOptions): Promise<void> {
    // An upload may take hours, too long to find out by it whether everyone else may ask again.
    if (this.#breaker.isTripped) await this.head(key, options);
    await this.#breaker.run(() => this.#inner.put(key, source, options));
  }

  async *#watched(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* bytes;
    } catch (error) {
      if (isIngotError(error) && isAway(error)) this.#breaker.failed();
      throw error;
    }
  }
}

function isAway(error: IngotError): boolean {
  return error.code === Code.UNAVAILABLE || error.code === Code.FAILED_PRECONDITION;
}
