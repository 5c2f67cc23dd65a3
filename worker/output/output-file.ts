import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Digest, DigestHasher } from '../../core/digest.ts';
import { internal } from '../../core/error.ts';
import type { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { systemError } from '../launcher/system-error.ts';
import type { OutputBlob } from './output-blob.ts';

/** Large enough to hash at full speed (1 GB/s), small enough for a few at once. */
const READ_CHUNK_BYTES = 1024 * 1024;

/**
 * Reads a file an action left, once nothing of it runs any more. Links are not followed and a FIFO would not be waited
 * for. INTERNAL when the file is not what was seen before: nobody should be there to change it.
 */
export async function* readOutputFile(path: string, sizeBytes: number): AsyncGenerator<Uint8Array> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    await using handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size !== sizeBytes) {
      throw internal(`read output: the file has changed, expected ${sizeBytes} bytes`);
    }
    for (let position = 0; position < sizeBytes; ) {
      // A new buffer each time: the receiver keeps what it is given.
      const buffer = Buffer.allocUnsafe(Math.min(READ_CHUNK_BYTES, sizeBytes - position));
      const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, position);
      if (bytesRead === 0) throw internal(`read output: the file ends at ${position} of ${sizeBytes} bytes`);
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (error) {
    throw systemError(error, 'read output');
  }
}

/** Hashes a file an action left. */
export async function outputFileBlob(
  path: string,
  sizeBytes: number,
  digestFunction: DigestFunction_Value,
): Promise<OutputBlob> {
  const hasher = new DigestHasher(digestFunction);
  for await (const chunk of readOutputFile(path, sizeBytes)) hasher.update(chunk);
  const digest: Digest = hasher.digest();
  return { digest, open: () => readOutputFile(path, sizeBytes) };
}
