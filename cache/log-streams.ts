import type { IoOptions } from '../core/io-options.ts';

/**
 * Output of running actions by ByteStream resource name: one writer appends, many readers follow. A stream
 * appears with its first read or write and is forgotten some time after its end.
 */
export interface LogStreams {
  /** Appends until `source` ends, which ends the stream. A second writer at once is ABORTED. */
  write(name: string, source: AsyncIterable<Uint8Array>, options?: IoOptions): Promise<void>;
  /** Bytes from `offset`, waiting for more until the stream ends. */
  read(name: string, offset: number, options?: IoOptions): AsyncIterable<Uint8Array>;
}
