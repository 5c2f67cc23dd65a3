import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Where daemons and administration tools live; not on every person's PATH. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Every executable file of this name on PATH, in PATH's order. */
export async function findPrograms(name: string, path: string | undefined): Promise<string[]> {
  const folders = (path ?? '').split(delimiter).filter((folder) => folder !== '');
  const found: string[] = [];
  for (const folder of new Set(folders)) {
    const candidate = join(folder, name);
    if (await isExecutableFile(candidate)) found.push(candidate);
  }
  return found;
}

/** The first of {@link findPrograms}. */
export async function findProgram(name: string, path: string | undefined): Promise<string | undefined> {
  const [first] = await findPrograms(name, path);
  return first;
}

/** A PATH that also leads to administration tools, such as nats-server on Debian. */
export function withSystemFolders(path: string | undefined): string {
  return [...(path ? [path] : []), ...SYSTEM_FOLDERS].join(delimiter);
}

/** True for a file that this process may execute. */
export async function isExecutableFile(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    // Not there, or not reachable: either way it cannot be run.
    return false;
  }
}
