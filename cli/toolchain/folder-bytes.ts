import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** The bytes of all files below a folder, for showing progress: what comes or goes meanwhile may be missed. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const path of await readdir(folder, { recursive: true }).catch(gone)) {
    const stats = await lstat(join(folder, path)).catch(() => undefined);
    if (stats?.isFile()) bytes += stats.size;
  }
  return bytes;
}

function gone(error: NodeJS.ErrnoException): string[] {
  // Another program is at work in there; the next look will see more.
  if (error.code === 'ENOENT') return [];
  throw error;
}
