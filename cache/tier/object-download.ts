import { delay } from '../../core/abort.ts';
import { isIngotError, unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { type RetryPolicy, retryDelayMs } from '../../core/rpc/rpc-retry-policy.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { ObjectBody, ObjectStore } from './object-store.ts';

/** Rides out a lost connection, not a restart: the client has its own patience. */
const RETRY: RetryPolicy = { attemptsMax: 4, firstBackoffMs: 100, backoffMsMax: 1_000 };
/** When a client may ask again for what broke off. */
const ASK_AGAIN_MS = 2_000;

/** What {@link downloadObject} needs. */
export interface ObjectDownloadOptions extends IoOptions {
  readonly store: ObjectStore;
  readonly key: string;
  /** The object as it was opened at its beginning. */
  readonly body: ObjectBody;
  readonly random: () => number;
}

/**
 * All bytes of an object. Where they break off they are asked for again from there, if the object is still the same
 * one; UNAVAILABLE with RetryInfo when that fails some times in a row.
 */
export async function* downloadObject({
  store,
  key,
  body,
  random,
  signal,
}: ObjectDownloadOptions): AsyncGenerator<Uint8Array, void, undefined> {
  let position = 0;
  let bytes: AsyncIterable<Uint8Array> | undefined = body.bytes;
  for (let attempt = 1; ; attempt += 1) {
    try {
      bytes ??= await reopen({ store, key, body, position, signal });
      for await (const chunk of bytes) {
        attempt = 1;
        position += chunk.byteLength;
        yield chunk;
      }
      if (position >= body.sizeBytes) return;
      throw unavailable(`Read an object: it broke off at ${position} of ${body.sizeBytes} bytes`);
    } catch (error) {
      bytes = undefined;
      const delayMs = retryDelayMs(RETRY, attempt, { error, random });
      if (delayMs === undefined) throw withRetryInfo(error);
      await delay(delayMs, { signal });
    }
  }
}

async function reopen({
  store,
  key,
  body,
  position,
  signal,
}: Omit<ObjectDownloadOptions, 'random'> & { readonly position: number }): Promise<
  AsyncIterable<Uint8Array>
> {
  if (position >= body.sizeBytes) return nothing();
  const rest = await store.get(key, { offset: position, etag: body.etag, signal });
  if (rest === undefined) throw unavailable('Read an object: it is gone in the middle of the read');
  return rest.bytes;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function withRetryInfo(error: unknown): unknown {
  const isBroken = isIngotError(error, Code.UNAVAILABLE) || isIngotError(error, Code.ABORTED);
  if (!isBroken || error.details.length > 0) return error;
  return unavailable(error.message, { cause: error, details: [retryInfo(ASK_AGAIN_MS)] });
}
