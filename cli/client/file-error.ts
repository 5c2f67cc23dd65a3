import {
  failedPrecondition,
  type IngotError,
  invalidArgument,
  isIngotError,
  notFound,
  permissionDenied,
  resourceExhausted,
  wrap,
} from '../../core/error.ts';

const BY_SYSTEM_CODE = new Map<string, { factory: typeof notFound; text: string }>([
  ['ENOENT', { factory: notFound, text: 'no such file or directory' }],
  ['ENOTDIR', { factory: notFound, text: 'a part of the path is not a directory' }],
  ['EISDIR', { factory: invalidArgument, text: 'it is a directory' }],
  ['ELOOP', { factory: invalidArgument, text: 'too many symbolic links' }],
  ['ENAMETOOLONG', { factory: invalidArgument, text: 'the name is too long' }],
  ['EACCES', { factory: permissionDenied, text: 'permission denied' }],
  ['EPERM', { factory: permissionDenied, text: 'operation not permitted' }],
  ['EROFS', { factory: permissionDenied, text: 'the file system is read-only' }],
  ['ENOSPC', { factory: resourceExhausted, text: 'no space is left on the device' }],
  ['EDQUOT', { factory: resourceExhausted, text: 'the disk quota is used up' }],
  ['EMFILE', { factory: resourceExhausted, text: 'too many open files' }],
]);

/** What went wrong with a local file, as an IngotError that begins with `attempt` (`read input "a/b"`). */
export function fileError(error: unknown, attempt: string): IngotError {
  if (isIngotError(error)) return wrap(error, attempt);
  const systemCode = systemCodeOf(error);
  if (systemCode === undefined) throw error;
  const known = BY_SYSTEM_CODE.get(systemCode);
  if (known === undefined) return failedPrecondition(`${attempt}: ${systemCode}`, { cause: error });
  return known.factory(`${attempt}: ${known.text}`, { cause: error });
}

/** The system's code (`ENOENT`) of an error of a Node API; undefined for anything else. */
export function systemCodeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error
    ? error.code
    : undefined;
}
