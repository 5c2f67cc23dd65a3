import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { systemError } from './system-error.ts';

const run = promisify(execFile);

/**
 * Deletes a folder with all an action may have left in it. By `rm`, which also gets down trees deeper than the
 * system's longest path, and which does not hold up this process.
 */
export async function removeTree(path: string): Promise<void> {
  const remove = (): Promise<unknown> => run('rm', ['-rf', '--one-file-system', '--', path]);
  try {
    await remove();
  } catch {
    // Without root, folders an action has closed to its own user stay; opened, they go.
    try {
      await run('chmod', ['-R', 'u+rwX', '--', path]);
      await remove();
    } catch (error) {
      throw systemError(error, `delete ${path}`);
    }
  }
}
