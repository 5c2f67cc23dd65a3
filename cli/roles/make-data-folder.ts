import { mkdir, mkdtemp, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failedPrecondition } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import { fileError, systemCodeOf } from '../client/file-error.ts';

/** Nobody else may write to what root executes from, whatever the umask. */
const FOLDER_MODE = 0o755;

/**
 * Makes a data folder and the folders above it that are missing, and checks that it may be written to. Step by step:
 * Node's own recursive mkdir does not return where a file system answers ENOENT to every mkdir, as /proc does.
 */
export async function makeDataFolder(path: string): Promise<void> {
  try {
    await makeWithParents(path);
  } catch (error) {
    throw fileError(error, `make the data folder ${quote(path)}`);
  }
  try {
    await rmdir(await mkdtemp(join(path, '.ingot-probe-')));
  } catch (error) {
    throw fileError(error, `write to the data folder ${quote(path)}`);
  }
}

async function makeWithParents(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: FOLDER_MODE });
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'ENOENT' && !(await isDirectory(dirname(path)))) {
      await makeWithParents(dirname(path));
      await mkdir(path, { mode: FOLDER_MODE });
      return;
    }
    if (code !== 'EEXIST') throw error;
    if (!(await isDirectory(path))) {
      throw failedPrecondition(`${quote(path)} is not a directory`, { cause: error });
    }
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
