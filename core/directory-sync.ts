import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { GroupCommit } from './group-commit.ts';

/**
 * Makes renames into folders durable. Callers that wait for the same folder share one fsync. Keeps each folder it
 * has met open until `close`, so use it for a bounded set of folders.
 */
export class DirectorySync implements AsyncDisposable {
  readonly #folders = new Map<string, OpenFolder>();

  /** Resolves when every entry made in the folder before this call survives a power loss. */
  async sync(folder: string): Promise<void> {
    let open = this.#folders.get(folder);
    if (open === undefined) {
      open = new OpenFolder(folder);
      this.#folders.set(folder, open);
    }
    await open.syncs.submit(undefined);
  }

  /** Waits for syncs under way and closes the folders. */
  async close(): Promise<void> {
    const folders = [...this.#folders.values()];
    this.#folders.clear();
    for (const folder of folders) await folder.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

class OpenFolder {
  readonly #path: string;
  readonly syncs: GroupCommit<undefined>;
  #handle: FileHandle | undefined;

  constructor(path: string) {
    this.#path = path;
    this.syncs = new GroupCommit(async () => {
      this.#handle ??= await open(this.#path, constants.O_RDONLY | constants.O_DIRECTORY);
      await this.#handle.sync();
    });
  }

  async close(): Promise<void> {
    await this.syncs.idle();
    await this.#handle?.close();
  }
}
