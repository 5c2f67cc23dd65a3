import type { Digest } from '../../core/digest.ts';
import type { ByteRange } from '../blob-store.ts';
import type { ByteSpan } from '../blobs/byte-range.ts';

/** What a span of a blob takes of one of its chunks. */
export interface ChunkSpan {
  readonly chunk: Digest;
  /** Undefined for all of it. */
  readonly range: ByteRange | undefined;
}

/** The parts of chunks that make up a span of the blob; none for an empty span. */
export function chunkSpans(chunks: readonly Digest[], { start, end }: ByteSpan): ChunkSpan[] {
  const spans: ChunkSpan[] = [];
  let chunkStart = 0;
  for (const chunk of chunks) {
    const chunkEnd = chunkStart + chunk.sizeBytes;
    const from = Math.max(start, chunkStart);
    const to = Math.min(end, chunkEnd);
    if (from < to) {
      const isWhole = from === chunkStart && to === chunkEnd;
      const range = isWhole ? undefined : { offset: from - chunkStart, limit: to - from };
      spans.push({ chunk, range });
    }
    chunkStart = chunkEnd;
  }
  return spans;
}
