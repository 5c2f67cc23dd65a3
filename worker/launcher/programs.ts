import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';

/** Where the system's own programs are. The PATH of whoever started the worker has no say. */
const PROGRAM_FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin'];

/** Absolute path of a program of the system; undefined when there is none. */
export function findProgram(name: string): string | undefined {
  return PROGRAM_FOLDERS.map((folder) => join(folder, name)).find(isExecutable);
}

/** True for a program that runs with its owner's rights. */
export function isSetuid(path: string): boolean {
  return (statSync(path).mode & 0o4000) !== 0;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // Not there, or not for us: the same.
    return false;
  }
}
