import { type FSWatcher, watch } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Everything below a folder: a line of path, type and size for each file, sorted. */
export async function folderSnapshot(folder: string): Promise<string[]> {
  const lines: string[] = [];
  for (const path of await readdir(folder, { recursive: true })) {
    const stats = await lstat(join(folder, path));
    const type = stats.isDirectory() ? 'directory' : stats.isFile() ? `${stats.size} bytes` : 'special';
    lines.push(`${path}: ${type}`);
  }
  return lines.sort();
}

/** Notes whatever is made, written, renamed or deleted in some folders, themselves and not what is below them. */
export class FolderWatch implements Disposable {
  readonly #watchers: readonly FSWatcher[];
  #events: string[] = [];

  constructor(folders: readonly string[]) {
    this.#watchers = folders.map((folder) =>
      watch(folder, (event, name) => this.#events.push(`${event} ${join(folder, String(name))}`)),
    );
  }

  /** What has happened since it was last asked. */
  take(): string[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watchers) watcher.close();
  }
}
