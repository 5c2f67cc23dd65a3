import { createHash, type Hash } from 'node:crypto';
import { delay } from '../../core/abort.ts';
import { isIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import type { ByteStreamDefinition } from '../../proto/gen/google/bytestream/bytestream.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';

const RETRY_MS = 250;

/** What has been shown of a stream: enough to tell whether a final output begins with it. */
export interface ShownOutput {
  readonly sizeBytes: number;
  readonly sha256: string;
}

interface LogFollowerOptions {
  readonly byteStream: ServiceClient<ByteStreamDefinition>;
  /** Where the bytes go; the next are read once it resolves. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
}

/** Reads a log stream as it grows, from where it is after a break, and keeps count of what it passed on. */
export class LogFollower {
  readonly #options: LogFollowerOptions;
  readonly #hash: Hash = createHash('sha256');
  #sizeBytes = 0;

  constructor(options: LogFollowerOptions) {
    this.#options = options;
  }

  get shown(): ShownOutput {
    return { sizeBytes: this.#sizeBytes, sha256: this.#hash.copy().digest('hex') };
  }

  /** Until the stream ends, or is refused, or the signal aborts. Live output is a courtesy: nothing of it throws. */
  async follow(name: string, options: IoOptions = {}): Promise<void> {
    const { byteStream, write } = this.#options;
    for (;;) {
      try {
        const request = { resourceName: name, readOffset: this.#sizeBytes, readLimit: 0 };
        for await (const { data } of byteStream.read(request, { ...options, timeoutMs: 0 })) {
          this.#sizeBytes += data.byteLength;
          this.#hash.update(data);
          await write(data);
        }
        return;
      } catch (error) {
        // The result carries the whole output, so what cannot be followed is shown at the end.
        if (!isIngotError(error, Code.UNAVAILABLE) || options.signal?.aborted) return;
        await delay(RETRY_MS, options).catch(() => undefined);
      }
    }
  }
}
