import { Semaphore } from '../../core/concurrency.ts';
import type { Digest } from '../../core/digest.ts';
import { dataLoss, isIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import { bytesOf } from '../../core/streams.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobStore } from '../blob-store.ts';
import type { ByteSpan } from '../blobs/byte-range.ts';
import { BlobFlight } from './blob-flight.ts';
import type { BlobTier } from './blob-tier.ts';
import type { LiveReader } from './live-reader.ts';

/** Blobs fetched at once; more wait. Each holds a connection and a chunk or two. */
const FETCHES_AT_ONCE = 64;

/** What {@link BlobFlights} depend on. */
export interface BlobFlightsDependencies {
  readonly tier: BlobTier;
  readonly logger: Logger;
}

/** Which blob, of which instance, goes where. */
export interface FlightTarget {
  readonly instanceName: string;
  readonly local: BlobStore;
}

/** Reads of blobs that only the object store has. Those of one blob share one fetch, which also fills the local store. */
export class BlobFlights {
  readonly #tier: BlobTier;
  readonly #logger: Logger;
  readonly #flights = new Map<string, BlobFlight>();
  readonly #permits = new Semaphore(FETCHES_AT_ONCE);

  constructor({ tier, logger }: BlobFlightsDependencies) {
    this.#tier = tier;
    this.#logger = logger;
  }

  /** The bytes of the span, or undefined when the object store does not have the blob. */
  async read(
    target: FlightTarget,
    digest: Digest,
    span: ByteSpan,
    options: IoOptions = {},
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const flight = this.#flightOf(target, digest);
    using stack = new DisposableStack();
    stack.use(flight.join());
    let reader: LiveReader | undefined;
    try {
      const start = await flight.start(options);
      if (start === 'absent') return undefined;
      if (start !== 'under way') return bytesOf(start.bytes.subarray(span.start, span.end));
      if (span.whole) reader = flight.follow();
      else await flight.committed(options);
    } catch (error) {
      if (!span.whole || !isIngotError(error, Code.RESOURCE_EXHAUSTED)) throw error;
      // The disk was full before the first byte; below it is handed on all the same.
    }
    if (span.whole) return this.#follow({ flight, reader, digest, target, options, interest: stack.move() });
    return await target.local.read(digest, { offset: span.start, limit: span.end - span.start }, options);
  }

  #flightOf({ instanceName, local }: FlightTarget, digest: Digest): BlobFlight {
    const key = `${digest.key} ${instanceName}`;
    const known = this.#flights.get(key);
    if (known !== undefined) return known;
    const flight = new BlobFlight({
      digest,
      local,
      open: (options) => this.#tier.open(instanceName, digest, options),
      onOver: (error) => {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        if (error === undefined) return;
        this.#logger.info({ blob: digest.toString(), error }, 'a blob was not brought from the object store');
      },
    });
    this.#flights.set(key, flight);
    void this.#permits.run(() => flight.run());
    return flight;
  }

  /** As it comes, as long as the reader keeps up; the rest from the local store, or once more from the object store. */
  async *#follow({
    flight,
    reader,
    digest,
    target,
    options,
    interest,
  }: FollowedFlight): AsyncGenerator<Uint8Array, void, undefined> {
    using _interest = interest;
    let position = 0;
    try {
      for await (const chunk of reader?.read(options) ?? []) {
        position += chunk.byteLength;
        yield chunk;
      }
      if (position === digest.sizeBytes) return;
      await flight.committed(options);
    } catch (error) {
      // Whoever has no room for the blob can still hand it on.
      if (!isIngotError(error, Code.RESOURCE_EXHAUSTED)) throw error;
      const whole = await this.#tier.open(target.instanceName, digest, options);
      if (whole === undefined) throw error;
      yield* bytesFrom(whole, position);
      return;
    }
    const rest = await target.local.read(digest, { offset: position }, options);
    if (rest === undefined) throw dataLoss(`Read ${digest}: it is gone again from the local store`);
    yield* rest;
  }
}

interface FollowedFlight {
  readonly flight: BlobFlight;
  readonly reader: LiveReader | undefined;
  readonly digest: Digest;
  readonly target: FlightTarget;
  readonly options: IoOptions;
  readonly interest: Disposable;
}

/** The stream without its first `offset` bytes, all of which are read. */
async function* bytesFrom(
  source: AsyncIterable<Uint8Array>,
  offset: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let position = 0;
  for await (const chunk of source) {
    const skipped = Math.min(Math.max(offset - position, 0), chunk.byteLength);
    position += chunk.byteLength;
    if (skipped < chunk.byteLength) yield chunk.subarray(skipped);
  }
}
