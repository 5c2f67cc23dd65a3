import { IngotError, internal, invalidArgument } from '../../core/error.ts';

/**
 * A failed call to the system as the worker reports it: INTERNAL, since it is this machine (its disk, its limits) and
 * not the action that failed, but for what the action asked for and no machine can do. IngotErrors pass.
 */
export function systemError(error: unknown, attempt: string): IngotError {
  if (error instanceof IngotError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'E2BIG') {
    return invalidArgument(`${attempt}: arguments and environment are larger than the system takes`);
  }
  if (code === 'ENAMETOOLONG') return invalidArgument(`${attempt}: a path is longer than the system takes`);
  return internal(`${attempt}: ${code ?? 'unknown error'}: ${message}`, { cause: error });
}
