import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

const PREFIX = '.staging-';
/** An installation takes minutes; what is older was killed before it could tidy up. */
const ABANDONED_AFTER_MS = 6 * 60 * 60_000;

/**
 * A folder beside the final ones, so that a rename can put a finished part in place; removed when disposed, with
 * everything in it that was not renamed away. Opening one also removes those that a killed process left.
 */
export class StagingFolder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async open(parent: string, { nowMs }: { readonly nowMs: number }): Promise<StagingFolder> {
    await mkdir(parent, { recursive: true });
    await removeAbandoned(parent, nowMs);
    return new StagingFolder(await mkdtemp(join(parent, PREFIX)));
  }

  /** Makes a folder in it. */
  async subfolder(name: string): Promise<string> {
    const path = join(this.path, name);
    await mkdir(path);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

async function removeAbandoned(parent: string, nowMs: number): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(parent, name);
    // Another process may tidy up the same one.
    const stats = await stat(path).catch(() => undefined);
    if (stats !== undefined && nowMs - stats.mtimeMs > ABANDONED_AFTER_MS) {
      await rm(path, { recursive: true, force: true });
    }
  }
}
