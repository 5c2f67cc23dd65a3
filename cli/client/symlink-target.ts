import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';

/** Two parts of a path in the root; the empty one is the root itself. */
export function joinInRoot(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

/**
 * Where the symlink at `path` points, as a path in the root. INVALID_ARGUMENT for one that is absolute or leads
 * out: on a worker it would point at something else, or at nothing.
 */
export function symlinkTargetInRoot(path: string, target: string): string {
  const refuse = (why: string) =>
    invalidArgument(
      `input ${quote(path)} is a symlink to ${quote(target)}, which ${why}; expected a relative target inside ` +
        'the input root (put a copy in its place, or leave it out of the inputs)',
    );
  if (target.startsWith('/')) throw refuse('is absolute');
  const segments = path.split('/').slice(0, -1);
  for (const segment of target.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment !== '..') segments.push(segment);
    else if (segments.pop() === undefined) throw refuse('leads out of the input root');
  }
  return segments.join('/');
}
