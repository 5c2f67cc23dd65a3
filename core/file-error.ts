import { type IngotError, internal, isIngotError, resourceExhausted } from './error.ts';

/** What the system says when a disk, a quota, or the table of open files is full. */
const FULL: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'no space is left on the disk'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EFBIG', 'the file is larger than the file system allows'],
  ['EMFILE', 'too many files are open in this process'],
  ['ENFILE', 'too many files are open on this machine'],
]);

/**
 * What went wrong with a file of ours, as an IngotError: RESOURCE_EXHAUSTED when something is full, else INTERNAL.
 * `attempt` says what was tried; the path stays in the cause, for the log. IngotErrors pass unchanged.
 */
export function fileError(error: unknown, attempt: string): IngotError {
  if (isIngotError(error)) return error;
  const full = FULL.get(systemCodeOf(error) ?? '');
  if (full !== undefined) return resourceExhausted(`${attempt}: ${full}`, { cause: error });
  return internal(`${attempt}: the file system failed`, { cause: error });
}

/** The system's code of a failed call (`ENOENT`), or undefined. */
export function systemCodeOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
