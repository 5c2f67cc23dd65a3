import { delay } from '../../core/abort.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { type RetryPolicy, retryDelayMs } from '../../core/rpc/rpc-retry-policy.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import type { ByteStreamDefinition } from '../../proto/gen/google/bytestream/bytestream.ts';

/** What to follow, and how. */
export interface FollowRemoteOptions extends IoOptions {
  readonly byteStream: ServiceClient<ByteStreamDefinition>;
  readonly resourceName: string;
  readonly offset: number;
  readonly retry: RetryPolicy;
  readonly random: () => number;
}

/** A ByteStream resource that grows, from an offset to its end. After UNAVAILABLE it goes on where it was. */
export async function* followRemote({
  byteStream,
  resourceName,
  offset,
  signal,
  retry,
  random,
}: FollowRemoteOptions): AsyncGenerator<Uint8Array, void, undefined> {
  let position = offset;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const request = { resourceName, readOffset: position, readLimit: 0 };
      for await (const { data } of byteStream.read(request, { signal })) {
        attempt = 1;
        position += data.byteLength;
        if (data.byteLength > 0) yield data;
      }
      return;
    } catch (error) {
      const delayMs = retryDelayMs(retry, attempt, { error, random });
      if (delayMs === undefined) throw error;
      await delay(delayMs, { signal });
    }
  }
}
