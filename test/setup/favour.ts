import { constants, setPriority } from 'node:os';

const NOT_ALLOWED = ['EACCES', 'EPERM'];

/**
 * Lets a process have the processors before all others, where we may, which takes root: how long it takes for something
 * is then its own doing, and not that of whatever else the machine has to do.
 */
export function favour(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_HIGHEST);
  } catch (error) {
    const { info } = error as { readonly info?: NodeJS.ErrnoException };
    // It is then timed beside the others, which is as much as can be had.
    if (!NOT_ALLOWED.includes(info?.code ?? '')) throw error;
  }
}
