import { type IngotError, internal, isIngotError, resourceExhausted } from './error.ts';
import { retryInfo } from './error-details.ts';

/** How long a client is asked to wait for room on a disk: eviction makes some, or a person does. */
const DISK_FULL_RETRY_MS = 5_000;
/** The same for the files of others to be closed. */
const FILES_OPEN_RETRY_MS = 1_000;
const NO_SPACE = 'no space is left on the disk';

/** What the system says when a disk, a quota, or the table of open files is full; how long to wait, where that helps. */
const FULL: ReadonlyMap<string, { readonly why: string; readonly retryMs?: number }> = new Map([
  ['ENOSPC', { why: NO_SPACE, retryMs: DISK_FULL_RETRY_MS }],
  ['EDQUOT', { why: 'the disk quota is used up', retryMs: DISK_FULL_RETRY_MS }],
  ['EFBIG', { why: 'the file is larger than the file system allows' }],
  ['EMFILE', { why: 'too many files are open in this process', retryMs: FILES_OPEN_RETRY_MS }],
  ['ENFILE', { why: 'too many files are open on this machine', retryMs: FILES_OPEN_RETRY_MS }],
]);

/**
 * What went wrong with a file of ours, as an IngotError: RESOURCE_EXHAUSTED when something is full, with RetryInfo where
 * waiting helps, else INTERNAL. `attempt` says what was tried; the path stays in the cause, for the log. IngotErrors
 * pass unchanged.
 */
export function fileError(error: unknown, attempt: string): IngotError {
  if (isIngotError(error)) return error;
  const full = FULL.get(systemCodeOf(error) ?? '');
  if (full !== undefined) return exhausted(`${attempt}: ${full.why}`, error, full.retryMs);
  return internal(`${attempt}: the file system failed`, { cause: error });
}

/** The same for who knows of a full disk from elsewhere than the system's code. */
export function diskFull(cause: unknown, attempt: string): IngotError {
  return exhausted(`${attempt}: ${NO_SPACE}`, cause, DISK_FULL_RETRY_MS);
}

/** Whether a disk, or a quota of it, had no room. */
export function isDiskFull(error: unknown): boolean {
  const code = systemCodeOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** The system's code of a failed call (`ENOENT`), or undefined. */
export function systemCodeOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

function exhausted(message: string, cause: unknown, retryMs: number | undefined): IngotError {
  return resourceExhausted(message, { cause, details: retryMs === undefined ? [] : [retryInfo(retryMs)] });
}
