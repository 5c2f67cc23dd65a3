import { isAbsolute, relative, resolve } from 'node:path';
import { checkRelativePath } from '../../core/directory.ts';
import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';

/**
 * A path a person named, relative to the input root: segments joined by `/`, empty for the root itself.
 * INVALID_ARGUMENT when it leads out of the root. Symbolic links are not looked at.
 */
export function pathInRoot(root: string, named: string, what: string): string {
  if (named === '') throw invalidArgument(`${what} is empty, expected a path`);
  const path = relative(root, resolve(root, named));
  if (path === '..' || path.startsWith('../') || isAbsolute(path)) {
    throw invalidArgument(
      `${what} ${quote(named)} is outside of ${root}, expected a path below the directory ingot is started in, ` +
        'which is the root of the action',
    );
  }
  checkRelativePath(path, what, { emptyAllowed: true });
  return path;
}
