import assert from 'node:assert/strict';
import type { DigestHasher } from './digest.ts';
import { resourceExhausted } from './error.ts';

// Everywhere here, and in every byte stream of the project, a chunk belongs to its receiver once it is yielded:
// a source never writes into it again, so that passing it on without a copy is safe.

/** What {@link collectBytes} is collecting, and how much of it is too much. */
export interface CollectLimits {
  readonly bytesMax: number;
  /** For the error: `HTTP body`, `directory 0123…/77`. */
  readonly what: string;
}

/** All bytes of a stream in memory; RESOURCE_EXHAUSTED, and the source is closed, at the first byte too many. */
export async function collectBytes(
  source: AsyncIterable<Uint8Array>,
  { bytesMax, what }: CollectLimits,
): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > bytesMax) {
      throw resourceExhausted(`${what} has more than ${bytesMax} bytes, the most that is accepted`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, sizeBytes);
}

/** The same bytes in chunks of exactly `chunkBytes`, but for a shorter last one; no empty chunk. */
export async function* rechunk(
  source: AsyncIterable<Uint8Array>,
  chunkBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  assert(
    Number.isInteger(chunkBytes) && chunkBytes > 0,
    `chunkBytes must be a positive integer, not ${chunkBytes}`,
  );
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of source) {
    let rest = chunk;
    while (pendingBytes + rest.byteLength >= chunkBytes) {
      const head = rest.subarray(0, chunkBytes - pendingBytes);
      rest = rest.subarray(head.byteLength);
      yield pendingBytes === 0 ? head : Buffer.concat([...pending, head], chunkBytes);
      pending = [];
      pendingBytes = 0;
    }
    if (rest.byteLength > 0) {
      pending.push(rest);
      pendingBytes += rest.byteLength;
    }
  }
  if (pendingBytes > 0) yield Buffer.concat(pending, pendingBytes);
}

/** A stream of bytes already in memory; empty chunks are left out. */
export async function* bytesOf(
  ...chunks: readonly Uint8Array[]
): AsyncGenerator<Uint8Array, void, undefined> {
  for (const chunk of chunks) {
    if (chunk.byteLength > 0) yield chunk;
  }
}

/** Passes the stream on and shows every chunk to the hasher first. */
export async function* hashing(
  source: AsyncIterable<Uint8Array>,
  hasher: DigestHasher,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) {
    hasher.update(chunk);
    yield chunk;
  }
}
