import type { Digest } from '../../core/digest.ts';
import { type IngotError, notFound } from '../../core/error.ts';
import { missingBlobs } from '../../core/error-details.ts';

/** Chunks named in the message, which people read, and in the details: a status travels in trailers of a few KiB. */
const MESSAGE_CHUNKS_MAX = 5;
const DETAIL_CHUNKS_MAX = 20;

/** NOT_FOUND for a blob some of whose chunks are absent; the first of them are named, also as MISSING violations. */
export function missingChunks(digest: Digest, missing: readonly Digest[]): IngotError {
  const named = missing.slice(0, MESSAGE_CHUNKS_MAX);
  const more = missing.length > named.length ? ` and ${missing.length - named.length} more` : '';
  const chunks = missing.length === 1 ? 'chunk is' : 'chunks are';
  return notFound(`Splice ${digest}: ${missing.length} ${chunks} not here: ${named.join(', ')}${more}`, {
    details: [missingBlobs(missing.slice(0, DETAIL_CHUNKS_MAX))],
  });
}
