import type { LogStreams } from '../../cache/log-streams.ts';

/** Log streams that only remember what was written; nobody reads along. */
export class MemoryLogStreams implements LogStreams {
  /** What each stream has so far. */
  readonly written = new Map<string, string>();
  /** Streams that have ended. */
  readonly ended = new Set<string>();

  async write(name: string, source: AsyncIterable<Uint8Array>): Promise<void> {
    this.written.set(name, '');
    for await (const chunk of source)
      this.written.set(name, this.written.get(name) + Buffer.from(chunk).toString());
    this.ended.add(name);
  }

  // biome-ignore lint/correctness/useYield: it is never read here
  async *read(): AsyncGenerator<Uint8Array> {
    throw new Error('nobody reads these');
  }
}
