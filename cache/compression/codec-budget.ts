import { linkedAbort } from '../../core/abort.ts';
import { Semaphore } from '../../core/concurrency.ts';
import { resourceExhausted } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';

/** What zstd codecs may take of the process at once. */
export interface CodecLimits {
  /** Frames compressed while they are sent. */
  readonly compressorsMax: number;
  /** Frames decompressed while they arrive. */
  readonly decompressorsMax: number;
  /** Those of them that have a large window; see {@link LARGE_WINDOW_BYTES}. */
  readonly largeDecompressorsMax: number;
  /** How long an upload waits for a decompressor; then it is told to come again. */
  readonly waitMs: number;
}

/** Windows above it count as large. The `zstd` program's own levels up to 3, its default, keep below. */
export const LARGE_WINDOW_BYTES = 2 * 1024 ** 2;

/**
 * In all 64 MiB of windows at most: 16 of 2 MiB and 4 of 8 MiB. A compressor of our level takes 1.5 MiB more, and there
 * are no more compressors than decompressors: with two to each core they all are busy on any machine we know.
 */
export const defaultCodecLimits: CodecLimits = {
  compressorsMax: 16,
  decompressorsMax: 16,
  largeDecompressorsMax: 4,
  waitMs: 10_000,
};

const RETRY_MS = 1_000;

/** Hands out the right to have a codec. Who sends does not wait: the blob goes out as it is instead. */
export class CodecBudget {
  readonly #limits: CodecLimits;
  readonly #compressors: Semaphore;
  readonly #decompressors: Semaphore;
  readonly #largeDecompressors: Semaphore;

  constructor(limits: CodecLimits = defaultCodecLimits) {
    this.#limits = limits;
    this.#compressors = new Semaphore(limits.compressorsMax);
    this.#decompressors = new Semaphore(limits.decompressorsMax);
    this.#largeDecompressors = new Semaphore(limits.largeDecompressorsMax);
  }

  /** A permit for a compressor; undefined when all are taken. */
  compressor(): Disposable | undefined {
    return this.#compressors.acquireNow();
  }

  /** A permit for a decompressor with such a window; RESOURCE_EXHAUSTED when none is free in time. */
  async decompressor(windowBytes: number, { signal }: IoOptions): Promise<Disposable> {
    const { waitMs } = this.#limits;
    const semaphore = windowBytes > LARGE_WINDOW_BYTES ? this.#largeDecompressors : this.#decompressors;
    const free = semaphore.acquireNow();
    if (free !== undefined) return free;
    using abort = linkedAbort(signal, {
      timeoutMs: waitMs,
      timeoutError: resourceExhausted(`wait for a zstd decompressor: none was free within ${waitMs} ms`, {
        details: [retryInfo(RETRY_MS)],
      }),
    });
    return await semaphore.acquire({ signal: abort.signal });
  }
}
