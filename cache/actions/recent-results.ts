import type { ActionKey } from '../action-cache.ts';
import type { FiledResult } from './filed-result.ts';

/** Some 20,000 results of compilations; the large ones of a build are few. */
const RECENT_BYTES_MAX = 32 * 1024 * 1024;
/** One that takes more than this share of it is not kept: it would push out many, and has more than 2,500 blobs. */
const LARGEST_SHARE = 1 / 64;

// What a result takes in memory, about: itself and its place, the objects it decodes to, each blob that it needs.
const RESULT_BYTES = 1024;
const DECODED_FACTOR = 8;
const NEED_BYTES = 200;

interface Entry {
  readonly result: FiledResult;
  readonly bytes: number;
}

/** Results in memory with all they need, those least recently asked for going first. Shared by the instances. */
export class RecentResults {
  readonly #bytesMax: number;
  /** Least recently asked for first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  #forgotten = 0;

  constructor({ bytesMax = RECENT_BYTES_MAX }: { readonly bytesMax?: number } = {}) {
    this.#bytesMax = bytesMax;
  }

  /** About what the results take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How often something was forgotten: to be asked for before a result is read, and told to `keep`. */
  get epoch(): number {
    return this.#forgotten;
  }

  get(key: ActionKey): FiledResult | undefined {
    const text = textOf(key);
    const entry = this.#entries.get(text);
    if (entry === undefined) return undefined;
    this.#entries.delete(text);
    this.#entries.set(text, entry);
    return entry.result;
  }

  /** Keeps a result that was read since the epoch, unless it may have been replaced or dropped meanwhile. */
  keep(key: ActionKey, result: FiledResult, epoch: number): void {
    const { needs } = result;
    if (epoch !== this.#forgotten || needs === undefined) return;
    const bytes = RESULT_BYTES + result.encoded.byteLength * DECODED_FACTOR + needs.length * NEED_BYTES;
    if (bytes > this.#bytesMax * LARGEST_SHARE) return;
    const text = textOf(key);
    this.#delete(text);
    this.#entries.set(text, { result, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#delete(oldest);
    }
  }

  /** Whatever is known of the key, or is being read of it, may be wrong. */
  forget(key: ActionKey): void {
    this.#forgotten += 1;
    this.#delete(textOf(key));
  }

  #delete(text: string): void {
    const entry = this.#entries.get(text);
    if (entry === undefined) return;
    this.#entries.delete(text);
    this.#bytes -= entry.bytes;
  }
}

/** As results are filed: without the action's size. An instance name has no NUL in it. */
function textOf({ instanceName, actionDigest: { digestFunction, hash } }: ActionKey): string {
  return `${digestFunction}-${hash}\0${instanceName}`;
}
