import type { Digest } from '../../core/digest.ts';
import { type IngotError, invalidArgument } from '../../core/error.ts';

/** INVALID_ARGUMENT: bytes that were to be `what` have another digest. */
export function bytesMismatch(what: string, seen: Digest): IngotError {
  return invalidArgument(`Write ${what}: the bytes that arrived are ${seen}`);
}
