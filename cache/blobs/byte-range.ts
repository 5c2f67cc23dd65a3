import type { Digest } from '../../core/digest.ts';
import { outOfRange } from '../../core/error.ts';
import type { ByteRange } from '../blob-store.ts';

/** A range made definite for one blob. */
export interface ByteSpan {
  readonly start: number;
  /** Behind the last byte. */
  readonly end: number;
  /** It is the whole blob. */
  readonly whole: boolean;
}

/** The span a range covers of a blob; OUT_OF_RANGE when it begins before the first byte or behind the last. */
export function spanOf(digest: Digest, range: ByteRange | undefined): ByteSpan {
  const start = range?.offset ?? 0;
  if (start < 0 || start > digest.sizeBytes) {
    throw outOfRange(`Read ${digest}: offset ${start} is not from 0 to ${digest.sizeBytes}`);
  }
  const end = Math.min(digest.sizeBytes, start + (range?.limit ?? Number.POSITIVE_INFINITY));
  return { start, end, whole: start === 0 && end === digest.sizeBytes };
}
