import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { restartableSource } from '../../cache/remote/restartable-source.ts';
import { Digest, DigestHasher } from '../../core/digest.ts';
import { failedPrecondition } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import { bytesOf } from '../../core/streams.ts';
import { fileError } from './file-error.ts';

/** Up to this size a file is read in one go, which costs a tenth of opening a stream. */
const WHOLE_BYTES_MAX = 256 * 1024;
const READ_CHUNK_BYTES = 256 * 1024;

/** A blob the client can upload: a message in memory, or a file that was hashed. */
export type InputBlob = { readonly digest: Digest } & (
  | { readonly bytes: Uint8Array }
  | { readonly path: string }
);

/**
 * The blob's bytes; those of a file can be had again from any offset, so that its upload survives a restart of the
 * farm. FAILED_PRECONDITION when the file is no longer what was hashed.
 */
export function readInputBlob(blob: InputBlob): AsyncIterable<Uint8Array> {
  if ('bytes' in blob) return bytesOf(blob.bytes);
  return restartableSource((offset) => fromOffset(readFileChecked(blob.path, blob.digest), offset));
}

/** The whole is read and hashed for a part of it as well: no part of a changed file is to end as finished either. */
async function* fromOffset(
  source: AsyncIterable<Uint8Array>,
  offset: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let position = 0;
  for await (const chunk of source) {
    const skippedBytes = Math.max(0, offset - position);
    position += chunk.byteLength;
    if (skippedBytes < chunk.byteLength) yield chunk.subarray(skippedBytes);
  }
}

async function* readFileChecked(path: string, expected: Digest): AsyncGenerator<Uint8Array, void, undefined> {
  if (expected.sizeBytes <= WHOLE_BYTES_MAX) {
    const bytes = await readFile(path).catch((error: unknown) => {
      throw fileError(error, `upload ${quote(path)}`);
    });
    checkUnchanged(path, expected, Digest.ofBytes(bytes, expected.digestFunction));
    if (bytes.byteLength > 0) yield bytes;
    return;
  }
  const hasher = new DigestHasher(expected.digestFunction);
  let held: Uint8Array | undefined;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: READ_CHUNK_BYTES })) {
      if (held !== undefined) yield held;
      hasher.update(chunk);
      held = chunk;
    }
  } catch (error) {
    throw fileError(error, `upload ${quote(path)}`);
  }
  // The last chunk waits for the check, so that a file which changed is never uploaded as finished.
  checkUnchanged(path, expected, hasher.digest());
  if (held !== undefined) yield held;
}

function checkUnchanged(path: string, expected: Digest, seen: Digest): void {
  if (seen.key === expected.key) return;
  throw failedPrecondition(
    `upload ${quote(path)}: its bytes are ${seen}, expected ${expected}: it changed after it was hashed`,
  );
}
