import type { FileHandle } from 'node:fs/promises';
import { throwIfAborted } from '../../core/abort.ts';
import { type Digest, DigestHasher } from '../../core/digest.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** One buffer serves the whole file, so it may be larger than a chunk that is handed on. */
const BUFFER_BYTES = 1024 * 1024;

/** The digest of all bytes of an open file, read from its beginning whatever its position. */
export async function digestOfFile(
  handle: FileHandle,
  digestFunction: DigestFunction_Value,
  { signal }: IoOptions = {},
): Promise<Digest> {
  const hasher = new DigestHasher(digestFunction);
  const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  for (;;) {
    throwIfAborted(signal);
    const { bytesRead } = await handle.read(buffer, 0, BUFFER_BYTES, hasher.sizeBytes);
    if (bytesRead === 0) return hasher.digest();
    hasher.update(buffer.subarray(0, bytesRead));
  }
}
