import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A disk of that many bytes mounted at `path`, which is made for it. Takes root; unmounted at the end. */
export async function smallDisk(path: string, diskBytes: number): Promise<AsyncDisposable> {
  await mkdir(path);
  await run('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', path]);
  return {
    async [Symbol.asyncDispose]() {
      await run('umount', ['-l', path]);
    },
  };
}
