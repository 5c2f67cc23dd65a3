import { hash } from 'node:crypto';
import { createReadStream, lstatSync, readFileSync } from 'node:fs';
import { throwIfAborted } from '../../core/abort.ts';
import { Digest, DigestHasher } from '../../core/digest.ts';
import { failedPrecondition } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { quote } from '../../core/quote.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { fileError } from './file-error.ts';
import { type FileFacts, fileFactsOf, isSameFile } from './file-facts.ts';

/** Up to this size a file is read in one go, which costs a tenth of opening a stream. */
const WHOLE_BYTES_MAX = 1024 * 1024;
const READ_CHUNK_BYTES = 1024 * 1024;
/** A file that changes while it is read is read again this often before we give up on it. */
const ATTEMPTS_MAX = 3;

/** A file's digest and the facts that held while it was read. */
export interface FileDigest {
  readonly facts: FileFacts;
  readonly digest: Digest;
}

/** Reads and hashes a file; FAILED_PRECONDITION when it keeps changing meanwhile. */
export async function digestFile(facts: FileFacts, options: IoOptions = {}): Promise<FileDigest> {
  let before = facts;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    throwIfAborted(options.signal);
    try {
      const digest = await hashOnce(before, options);
      const after = fileFactsOf(facts.path, lstatSync(facts.path, { bigint: true }));
      if (isSameFile(before, after) && digest.sizeBytes === after.sizeBytes) return { facts: after, digest };
      before = after;
    } catch (error) {
      throw fileError(error, `read ${quote(facts.path)}`);
    }
  }
  throw failedPrecondition(
    `read ${quote(facts.path)}: it changed during each of ${ATTEMPTS_MAX} attempts, expected inputs to stay as they are`,
  );
}

async function hashOnce(facts: FileFacts, { signal }: IoOptions): Promise<Digest> {
  if (facts.sizeBytes <= WHOLE_BYTES_MAX) {
    const bytes = readFileSync(facts.path);
    return Digest.of(hash('sha256', bytes, 'hex'), bytes.byteLength, DigestFunction_Value.SHA256);
  }
  const hasher = new DigestHasher(DigestFunction_Value.SHA256);
  for await (const chunk of createReadStream(facts.path, { highWaterMark: READ_CHUNK_BYTES })) {
    throwIfAborted(signal);
    hasher.update(chunk);
  }
  return hasher.digest();
}
