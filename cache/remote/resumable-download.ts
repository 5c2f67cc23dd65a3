import { delay } from '../../core/abort.ts';
import { dataLoss } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { type RetryPolicy, retryDelayMs } from '../../core/rpc/rpc-retry-policy.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import type { ByteStreamDefinition } from '../../proto/gen/google/bytestream/bytestream.ts';

/** What to read, and how. */
export interface ResumableDownloadOptions extends IoOptions {
  readonly byteStream: ServiceClient<ByteStreamDefinition>;
  readonly resourceName: string;
  readonly start: number;
  /** Behind the last byte; above `start`. */
  readonly end: number;
  readonly retry: RetryPolicy;
  readonly random: () => number;
}

/**
 * A span of a ByteStream resource. After UNAVAILABLE it goes on where it was; attempts are counted anew whenever
 * bytes have come. DATA_LOSS when the server gives fewer or more than asked for.
 */
export async function* downloadResumably(
  options: ResumableDownloadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { byteStream, resourceName, start, end, signal, retry, random } = options;
  let position = start;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const request = { resourceName, readOffset: position, readLimit: end - position };
      for await (const { data } of byteStream.read(request, { signal })) {
        if (data.byteLength === 0) continue;
        position += data.byteLength;
        attempt = 1;
        if (position > end) throw dataLoss(`Read ${resourceName}: more than ${end - start} bytes came`);
        yield data;
      }
      if (position === end) return;
      throw dataLoss(`Read ${resourceName}: ${position - start} bytes came, expected ${end - start}`);
    } catch (error) {
      // All bytes are here; that the end of the stream was lost does not matter.
      if (position === end) return;
      const delayMs = retryDelayMs(retry, attempt, { error, random });
      if (delayMs === undefined) throw error;
      await delay(delayMs, { signal });
    }
  }
}
