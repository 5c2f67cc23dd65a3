import { closeSync, readdirSync, readFileSync } from 'node:fs';

const CLOSE_ON_EXEC = 0o2000000;
const STANDARD_FDS_MAX = 2;

/**
 * Closes what this process was given open besides stdin, stdout and stderr and would pass on to every action: a
 * stray pipe of whoever started the worker, say. Node's own descriptors are closed on exec and stay.
 */
export function closeInheritedDescriptors(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd <= STANDARD_FDS_MAX || !passedOn(name)) continue;
    try {
      closeSync(fd);
    } catch (error) {
      // The descriptor readdir itself used is gone by now; any other failure must be seen.
      if ((error as NodeJS.ErrnoException).code !== 'EBADF') throw error;
    }
  }
}

function passedOn(fd: string): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    // Closed in between: it is passed on to nobody.
    return false;
  }
}
