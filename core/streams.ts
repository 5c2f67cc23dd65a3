import assert from 'node:assert/strict';
import type { DigestHasher } from './digest.ts';
import { resourceExhausted } from './error.ts';

// Everywhere here, and in every byte stream of the project, a chunk belongs to its receiver once it is yielded:
// a source never writes into it again, so that passing it on without a copy is safe. The one exception is a chunk that
// its receiver has given back.

/**
 * A source whose memory can serve again. Only who gets chunks straight from it, and has copied or written them, may
 * give them back; what is not given back is the receiver's as ever. What wraps such a source and does not say so itself
 * hides it, which is safe.
 */
export interface Reusing extends AsyncIterable<Uint8Array> {
  /** Nobody looks at the chunk any more. */
  giveBack(chunk: Uint8Array): void;
}

/** How chunks of this source are given back; undefined when they are not. */
export function giveBackOf(source: AsyncIterable<Uint8Array>): ((chunk: Uint8Array) => void) | undefined {
  return 'giveBack' in source ? (chunk) => (source as Reusing).giveBack(chunk) : undefined;
}

/** The same source, each of whose chunks is shown to `look` as it passes. */
export function shown(
  source: AsyncIterable<Uint8Array>,
  look: (chunk: Uint8Array) => void,
): AsyncIterable<Uint8Array> {
  const giveBack = giveBackOf(source);
  return {
    ...(giveBack && { giveBack }),
    async *[Symbol.asyncIterator]() {
      for await (const chunk of source) {
        look(chunk);
        yield chunk;
      }
    },
  };
}

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
  const tooMany = () =>
    resourceExhausted(`${what} has more than ${bytesMax} bytes, the most that is accepted`);
  if (source instanceof WholeBytes) {
    const { buffer, byteOffset, byteLength } = source.bytes;
    if (byteLength > bytesMax) throw tooMany();
    return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
  }
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > bytesMax) throw tooMany();
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

/**
 * A stream of bytes already in memory, in one chunk (none when it is empty). Who handles whole small blobs takes
 * `bytes` and saves itself the turns of a stream.
 */
export class WholeBytes implements AsyncIterable<Uint8Array> {
  readonly bytes: Uint8Array;
  /** To be called, if at all, when nobody looks at the bytes any more; see {@link Reusing}. */
  readonly onDone: (() => void) | undefined;

  constructor(bytes: Uint8Array, options: { readonly onDone?: () => void } = {}) {
    this.bytes = bytes;
    this.onDone = options.onDone;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.bytes.byteLength > 0) yield this.bytes;
  }
}

/** A stream of bytes already in memory; empty chunks are left out. */
export function bytesOf(...chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  const [first = new Uint8Array(), ...others] = chunks;
  return others.length === 0 ? new WholeBytes(first) : inTurn(chunks);
}

async function* inTurn(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const chunk of chunks) {
    if (chunk.byteLength > 0) yield chunk;
  }
}

/** Passes the stream on and shows every chunk to the hasher first. */
export function hashing(source: AsyncIterable<Uint8Array>, hasher: DigestHasher): AsyncIterable<Uint8Array> {
  return shown(source, (chunk) => hasher.update(chunk));
}
