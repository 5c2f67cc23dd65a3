import type { Digest } from '../../core/digest.ts';
import type { ChunkingFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** The blobs which, one behind the other, are another blob. None of them is empty. */
export interface ChunkList {
  readonly chunks: readonly Digest[];
  /** By which they were cut, as far as it is known. */
  readonly chunkingFunction: ChunkingFunction_Value;
}

/** The same chunks in the same order. */
export function sameChunks(a: ChunkList, b: ChunkList): boolean {
  return (
    a.chunks.length === b.chunks.length &&
    a.chunks.every((chunk, index) => chunk.key === b.chunks[index]?.key)
  );
}
