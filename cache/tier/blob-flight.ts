import { type LinkedAbort, linkedAbort, untilAborted } from '../../core/abort.ts';
import type { Digest } from '../../core/digest.ts';
import { cancelled, dataLoss, isIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { bytesOf, collectBytes } from '../../core/streams.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobStore } from '../blob-store.ts';
import { LiveReader } from './live-reader.ts';

/** Blobs up to this size are fetched whole before anyone gets a byte, so that a damaged one is simply absent. */
export const WHOLE_BYTES_MAX = 256 * 1024;

/** What a {@link BlobFlight} depends on. */
export interface BlobFlightDependencies {
  readonly digest: Digest;
  /** Where the blob goes. */
  readonly local: BlobStore;
  /** Opens the object: its verified bytes, or undefined. */
  open(options: IoOptions): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Called when nobody may join any more: it is over, or given up. With the error that ended it, if one did. */
  onOver(error?: unknown): void;
}

/** How a flight begins, as its readers see it. */
export type FlightStart = 'absent' | 'under way' | { readonly bytes: Uint8Array };

/**
 * One fetch of a blob from the object store into the local store, shared by all who want it meanwhile. States: opening
 * (until `start` resolves), under way, over (`committed` is settled). It is given up when nobody wants it any more.
 */
export class BlobFlight {
  readonly #dependencies: BlobFlightDependencies;
  readonly #readers = new Set<LiveReader>();
  readonly #abort: LinkedAbort = linkedAbort();
  readonly #start = Promise.withResolvers<FlightStart>();
  readonly #committed = Promise.withResolvers<void>();
  #interested = 0;
  #position = 0;
  #isOver = false;

  constructor(dependencies: BlobFlightDependencies) {
    this.#dependencies = dependencies;
    // Nobody may be left to hear of a failure.
    this.#start.promise.catch(() => undefined);
    this.#committed.promise.catch(() => undefined);
  }

  /** Whether the blob is there, as soon as that is known; small ones come whole. */
  start({ signal }: IoOptions): Promise<FlightStart> {
    return untilAborted(this.#start.promise, signal);
  }

  /** Resolves when the blob is in the local store. */
  committed({ signal }: IoOptions): Promise<void> {
    return untilAborted(this.#committed.promise, signal);
  }

  /** Says that someone wants it; dispose of it when that is over. */
  join(): Disposable {
    this.#interested += 1;
    let isIn = true;
    return {
      [Symbol.dispose]: () => {
        if (!isIn) return;
        isIn = false;
        this.#interested -= 1;
        // With the last byte here the rest is our own work, and worth its end.
        const isFetched = this.#position === this.#dependencies.digest.sizeBytes;
        if (this.#interested > 0 || isFetched || this.#isOver) return;
        this.#abort.abort(cancelled('nobody reads the blob any more'));
        this.#dependencies.onOver();
      },
    };
  }

  /** A reader of the bytes as they come, or undefined when some have gone by, or none will. */
  follow(): LiveReader | undefined {
    if (this.#position > 0 || this.#isOver) return undefined;
    const reader = new LiveReader();
    this.#readers.add(reader);
    return reader;
  }

  /** Runs to the end; never rejects. */
  async run(): Promise<void> {
    let failure: unknown;
    try {
      await this.#fetch();
      // The local store may have had it all along, and taken no byte.
      this.#start.resolve('under way');
      this.#committed.resolve();
      for (const reader of this.#readers) reader.end();
    } catch (error) {
      failure = error;
      this.#start.reject(error);
      this.#committed.reject(error);
      for (const reader of this.#readers) reader.fail(error);
    }
    this.#isOver = true;
    this.#abort[Symbol.dispose]();
    this.#dependencies.onOver(failure);
  }

  async #fetch(): Promise<void> {
    const { digest, local, open } = this.#dependencies;
    const { signal } = this.#abort;
    const source = await open({ signal });
    if (source === undefined) {
      this.#start.resolve('absent');
      return;
    }
    if (digest.sizeBytes > WHOLE_BYTES_MAX) {
      await local.write(digest, this.#passingOn(source), { signal });
      return;
    }
    const bytes = await this.#whole(source);
    this.#start.resolve(bytes === undefined ? 'absent' : { bytes });
    if (bytes !== undefined) await local.write(digest, bytesOf(bytes));
  }

  async #whole(source: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
    const { digest } = this.#dependencies;
    try {
      const bytes = await collectBytes(source, { bytesMax: digest.sizeBytes, what: `blob ${digest}` });
      this.#position = bytes.byteLength;
      return bytes;
    } catch (error) {
      if (isIngotError(error, Code.DATA_LOSS)) return undefined;
      throw error;
    }
  }

  async *#passingOn(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const { digest } = this.#dependencies;
    for await (const chunk of source) {
      // Those who wait for the start become readers before the first chunk goes by.
      if (this.#position === 0) await this.#announce();
      this.#position += chunk.byteLength;
      for (const reader of this.#readers) reader.push(chunk);
      if (this.#position === digest.sizeBytes) for (const reader of this.#readers) reader.end();
      yield chunk;
    }
    if (this.#position < digest.sizeBytes) throw dataLoss(`Read ${digest}: the object store has less of it`);
  }

  async #announce(): Promise<void> {
    this.#start.resolve('under way');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
