import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { restartableSource } from '../../cache/remote/restartable-source.ts';
import { type Digest, DigestHasher } from '../../core/digest.ts';
import { type IngotError, internal } from '../../core/error.ts';
import type { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { systemError } from '../launcher/system-error.ts';
import type { OutputBlob } from './output-blob.ts';

/** Large enough to hash at full speed (1 GB/s), small enough for a few at once. */
const READ_CHUNK_BYTES = 1024 * 1024;
/** Up to this a file is read at one go, which takes some 50 µs. */
const SMALL_BYTES = 64 * 1024;
/** Neither a link nor a FIFO is to be taken for a file. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Reads a file an action left, from an offset, once nothing of it runs any more. Links are not followed and a FIFO would
 * not be waited for. INTERNAL when the file is not what was seen before: nobody should be there to change it.
 */
export async function* readOutputFile(
  path: string,
  sizeBytes: number,
  offset = 0,
): AsyncGenerator<Uint8Array> {
  try {
    await using handle = await open(path, OPEN_FLAGS);
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size !== sizeBytes) {
      throw changed(sizeBytes);
    }
    for (let position = offset; position < sizeBytes; ) {
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
  if (sizeBytes <= SMALL_BYTES) hasher.update(readSmallFile(path, sizeBytes));
  else for await (const chunk of readOutputFile(path, sizeBytes)) hasher.update(chunk);
  const digest: Digest = hasher.digest();
  return { digest, open: () => restartableSource((offset) => readOutputFile(path, sizeBytes, offset)) };
}

/** The same checks without promises, which cost ten times as much as reading a small file does. */
function readSmallFile(path: string, sizeBytes: number): Uint8Array {
  try {
    const fd = openSync(path, OPEN_FLAGS);
    try {
      const stats = fstatSync(fd);
      const buffer = Buffer.allocUnsafe(sizeBytes);
      const whole = stats.isFile() && stats.size === sizeBytes;
      if (whole && readSync(fd, buffer, 0, sizeBytes, 0) === sizeBytes) return buffer;
      throw changed(sizeBytes);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw systemError(error, 'read output');
  }
}

function changed(sizeBytes: number): IngotError {
  return internal(`read output: the file has changed, expected ${sizeBytes} bytes`);
}
