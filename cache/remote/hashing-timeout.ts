import type { Digest } from '../../core/digest.ts';

/** What any call may take. */
const CALL_MS = 60_000;
/** The slowest server we wait for: a disk that gives so much while others want it too. */
const BYTES_PER_MS = 16 * 1024;

/** How long a call may take in which the server reads and hashes the whole blob before it answers. */
export function hashingTimeoutMs({ sizeBytes }: Digest): number {
  return CALL_MS + Math.ceil(sizeBytes / BYTES_PER_MS);
}
