import { type LinkedAbort, linkedAbort } from '../../core/abort.ts';
import { unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { LogStreamStatus, ResumableLogStreams } from './resumable-log-streams.ts';

/** When those that were sent away may come back. */
const RETRY_DELAY_MS = 1_000;

/**
 * Adds `drain` to log streams: who reads or writes one does so for as long as an action runs, and a server that shuts
 * down need not wait for that, since both can go on later where they were.
 */
export class DrainableLogStreams implements ResumableLogStreams {
  readonly #inner: ResumableLogStreams;
  readonly #calls = new Set<LinkedAbort>();
  #draining = false;

  constructor(inner: ResumableLogStreams) {
    this.#inner = inner;
  }

  /** Ends every read and write with UNAVAILABLE, those to come included. */
  drain(): void {
    this.#draining = true;
    for (const call of this.#calls) call.abort(sentAway());
  }

  async write(name: string, source: AsyncIterable<Uint8Array>, { signal }: IoOptions = {}): Promise<void> {
    using call = this.#enter(signal);
    await this.#inner.write(name, source, { signal: call.signal });
  }

  async *read(
    name: string,
    offset: number,
    { signal }: IoOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    using call = this.#enter(signal);
    yield* this.#inner.read(name, offset, { signal: call.signal });
  }

  status(name: string, options?: IoOptions): Promise<LogStreamStatus | undefined> {
    return this.#inner.status(name, options);
  }

  #enter(signal: AbortSignal | undefined): LinkedAbort {
    if (this.#draining) throw sentAway();
    const abort = linkedAbort(signal);
    this.#calls.add(abort);
    return {
      signal: abort.signal,
      abort: (reason) => abort.abort(reason),
      [Symbol.dispose]: () => {
        this.#calls.delete(abort);
        abort[Symbol.dispose]();
      },
    };
  }
}

function sentAway() {
  return unavailable('the server is shutting down; the log goes on when it is back', {
    details: [retryInfo(RETRY_DELAY_MS)],
  });
}
