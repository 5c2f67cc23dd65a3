import type {
  ObjectBody,
  ObjectFacts,
  ObjectReadOptions,
  ObjectSource,
  ObjectStore,
} from '../../../cache/tier/object-store.ts';
import { throwIfAborted, untilAborted } from '../../../core/abort.ts';
import { aborted, unavailable } from '../../../core/error.ts';
import type { IoOptions } from '../../../core/io-options.ts';
import { collectBytes } from '../../../core/streams.ts';

const CHUNK_BYTES = 64 * 1024;

/** Objects in memory, for tests of what stands on an object store. It counts calls, and can be made to fail or wait. */
export class MemoryObjectStore implements ObjectStore {
  readonly objects = new Map<string, Buffer>();
  readonly calls = { head: 0, get: 0, put: 0 };
  /** Thrown by every call while set. */
  failure: Error | undefined;
  /** Awaited by every call while set. */
  gate: Promise<void> | undefined;
  /** Awaited before every chunk but the first of a read. */
  chunkGate: Promise<void> | undefined;
  /** Breaks a read off with UNAVAILABLE once so many bytes have gone, as often as is said. */
  breakAfter: { bytes: number; times: number } | undefined;

  async head(key: string, options: IoOptions = {}): Promise<ObjectFacts | undefined> {
    this.calls.head += 1;
    await this.#enter(options);
    const bytes = this.objects.get(key);
    return bytes === undefined ? undefined : factsOf(bytes);
  }

  async get(
    key: string,
    { offset = 0, etag, signal }: ObjectReadOptions = {},
  ): Promise<ObjectBody | undefined> {
    this.calls.get += 1;
    await this.#enter({ signal });
    const bytes = this.objects.get(key);
    if (bytes === undefined) return undefined;
    const facts = factsOf(bytes);
    if (etag !== undefined && etag !== facts.etag) throw aborted('Read an object: it was replaced meanwhile');
    return { ...facts, bytes: this.#chunks(bytes, offset, signal), close: () => undefined };
  }

  async put(key: string, source: ObjectSource, options: IoOptions = {}): Promise<void> {
    this.calls.put += 1;
    await this.#enter(options);
    const bytes = await collectBytes(source.read(undefined), {
      bytesMax: source.sizeBytes,
      what: 'an object',
    });
    this.objects.set(key, bytes);
  }

  async *#chunks(bytes: Buffer, offset: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    let sent = 0;
    for (let position = offset; position < bytes.length; position += CHUNK_BYTES) {
      throwIfAborted(signal);
      if (position > offset && this.chunkGate !== undefined) await untilAborted(this.chunkGate, signal);
      if (this.breakAfter !== undefined && this.breakAfter.times > 0 && sent >= this.breakAfter.bytes) {
        this.breakAfter.times -= 1;
        throw unavailable('Read an object: the connection was lost');
      }
      const chunk = bytes.subarray(position, position + CHUNK_BYTES);
      sent += chunk.length;
      yield chunk;
    }
  }

  async #enter({ signal }: IoOptions): Promise<void> {
    throwIfAborted(signal);
    if (this.gate !== undefined) await untilAborted(this.gate, signal);
    if (this.failure !== undefined) throw this.failure;
  }
}

function factsOf(bytes: Buffer): ObjectFacts {
  return { sizeBytes: bytes.length, etag: `"${bytes.length}-${bytes[0] ?? 0}-${bytes.at(-1) ?? 0}"` };
}
