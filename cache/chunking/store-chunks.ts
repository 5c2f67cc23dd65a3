import { linkedAbort } from '../../core/abort.ts';
import { abortableSource } from '../../core/abortable-source.ts';
import { mapConcurrent } from '../../core/concurrency.ts';
import { Digest } from '../../core/digest.ts';
import { cancelled, invalidArgument } from '../../core/error.ts';
import { bytesOf } from '../../core/streams.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { ChunkTotals } from './chunk-totals.ts';
import { cutStream } from './cut-stream.ts';
import type { FastCdcParams } from './fast-cdc-params.ts';

/** Chunks asked for and sent at a time. Two such groups are in memory: one is sent while the next is cut. */
const GROUP_BYTES = 8 * 1024 * 1024;
/** Chunks of a group on their way at once: a remote store gathers them into calls. */
const WRITES_AT_ONCE = 16;

interface StoreChunksOptions {
  readonly store: BlobStore;
  readonly params: FastCdcParams;
  readonly options: BlobOptions;
  readonly totals: ChunkTotals;
}

/**
 * Cuts the blob and stores those of its chunks that the store lacks; returns all of them in order. INVALID_ARGUMENT at
 * the first byte beyond the digest's size. That the bytes are the digest's is for the store to check.
 */
export async function storeChunks(
  digest: Digest,
  source: AsyncIterable<Uint8Array>,
  { store, params, options, totals }: StoreChunksOptions,
): Promise<Digest[]> {
  const { signal, invocationId } = options;
  using abort = linkedAbort(signal);
  const chunks: Digest[] = [];
  let group = new Group();
  let sending: Promise<void> = Promise.resolve();
  const send = async (): Promise<void> => {
    await sending;
    const { sizeBytes } = group;
    sending = group.store(store, { signal: abort.signal, invocationId }).then((sentBytes) => {
      totals.add({ sentBytes, presentBytes: sizeBytes - sentBytes });
    });
    // It is awaited before the next group is sent, or at the end.
    sending.catch(() => undefined);
    group = new Group();
  };
  try {
    const limited = limitedTo(digest, abortableSource(source, abort.signal));
    for await (const bytes of cutStream(limited, params)) {
      const chunk = Digest.ofBytes(bytes, digest.digestFunction);
      chunks.push(chunk);
      group.add(chunk, bytes);
      if (group.sizeBytes >= GROUP_BYTES) await send();
    }
    await send();
    await sending;
    return chunks;
  } catch (error) {
    abort.abort(cancelled('the blob could not be cut to its end'));
    await sending.catch(() => undefined);
    throw error;
  }
}

/** Chunks that travel together, each stored once. */
class Group {
  readonly #chunks = new Map<string, { readonly digest: Digest; readonly bytes: Uint8Array }>();
  sizeBytes = 0;

  add(digest: Digest, bytes: Uint8Array): void {
    this.#chunks.set(digest.key, { digest, bytes });
    this.sizeBytes += bytes.byteLength;
  }

  /** Returns how many bytes the store lacked. */
  async store(store: BlobStore, options: BlobOptions): Promise<number> {
    const digests = [...this.#chunks.values()].map(({ digest }) => digest);
    if (digests.length === 0) return 0;
    const missing = new Set((await store.findMissing(digests, options)).map(({ key }) => key));
    const wanted = [...this.#chunks.values()].filter(({ digest }) => missing.has(digest.key));
    await mapConcurrent(
      wanted,
      WRITES_AT_ONCE,
      ({ digest, bytes }, signal) => store.write(digest, bytesOf(bytes), { ...options, signal }),
      { signal: options.signal },
    );
    return wanted.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);
  }
}

async function* limitedTo(
  digest: Digest,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let sizeBytes = 0;
  for await (const bytes of source) {
    sizeBytes += bytes.byteLength;
    if (sizeBytes > digest.sizeBytes) {
      throw invalidArgument(`Write ${digest}: more than ${digest.sizeBytes} bytes arrived`);
    }
    yield bytes;
  }
}
