import { lstatSync } from 'node:fs';
import { unavailable } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import { walkHostTree } from '../../core/toolchain/host-tree.ts';
import { describeToolchain, type Toolchain } from '../../core/toolchain/toolchain.ts';

/** How often every file is looked at: a program written over in place leaves no trace on the folder it is in. */
const PERIOD_MS = 60_000;

interface Watched {
  readonly toolchain: Toolchain;
  /** All folders of its trees, and what they looked like when it was last found to be what its id says. */
  readonly folders: readonly string[];
  readonly seen: string;
}

export interface ToolchainWatchOptions {
  readonly logger: Logger;
  /** Default {@link describeToolchain}. */
  readonly describe?: (folder: string, options?: IoOptions) => Promise<Toolchain>;
}

/**
 * The toolchains a worker offers, for as long as they are what their ids say: an upgrade in place under a running
 * worker would file one compiler's outputs under another's name. A changed one is given up until the next start.
 */
export class ToolchainWatch {
  readonly #logger: Logger;
  readonly #describe: (folder: string, options?: IoOptions) => Promise<Toolchain>;
  readonly #watched = new Map<string, Watched>();
  #onChange: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor({ logger, describe = describeToolchain }: ToolchainWatchOptions) {
    this.#logger = logger;
    this.#describe = describe;
  }

  static async open(
    toolchains: readonly Toolchain[],
    options: ToolchainWatchOptions,
  ): Promise<ToolchainWatch> {
    const watch = new ToolchainWatch(options);
    for (const toolchain of toolchains) watch.#watched.set(toolchain.id, await watched(toolchain));
    return watch;
  }

  /** Those that were not given up. */
  get toolchains(): readonly Toolchain[] {
    return Array.from(this.#watched.values(), ({ toolchain }) => toolchain);
  }

  /**
   * To be asked after an action that used these, by a look at their folders (a millisecond for CUDA's 300), in which
   * package managers replace files. UNAVAILABLE when one is not, or not surely, what it was.
   */
  async checkUnchanged(toolchains: readonly Pick<Toolchain, 'id'>[]): Promise<void> {
    for (const { id } of toolchains) {
      const known = this.#watched.get(id);
      if (known !== undefined && factsOf(known.folders) !== known.seen) await this.#lookAgain(known);
      if (!this.#watched.has(id)) throw unavailable(`toolchain ${id} was changed while the action ran`);
    }
  }

  /** Looks at every file from time to time; `onChange` is told when a toolchain was given up. */
  start(onChange: () => void): void {
    this.#onChange = onChange;
    this.#timer = setInterval(() => void this.checkFiles(), PERIOD_MS);
  }

  /** Looks at every file now. */
  async checkFiles(): Promise<void> {
    for (const known of [...this.#watched.values()]) await this.#lookAgain(known);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #lookAgain({ toolchain }: Watched): Promise<void> {
    const { id, folder } = toolchain;
    try {
      // Before the files, so that a change in between is seen the next time.
      const now = await watched(toolchain);
      const { id: seenId } = await this.#describe(folder);
      if (seenId !== id) throw unavailable(`the folder holds toolchain ${seenId} now`);
      this.#watched.set(id, now);
    } catch (error) {
      if (!this.#watched.delete(id)) return;
      this.#logger.error({ toolchain: id, error }, 'toolchain has changed and is offered no more');
      this.#onChange();
    }
  }
}

async function watched(toolchain: Toolchain): Promise<Watched> {
  const folders = new Set<string>();
  for (const { source } of toolchain.mounts) {
    folders.add(source);
    for await (const { absolutePath, stats } of walkHostTree(source, ['.'])) {
      if (stats.isDirectory()) folders.add(absolutePath);
    }
  }
  return { toolchain, folders: [...folders], seen: factsOf(folders) };
}

function factsOf(folders: Iterable<string>): string {
  const facts = Array.from(folders, (folder) => {
    const stats = lstatSync(folder, { throwIfNoEntry: false, bigint: true });
    return stats && `${stats.ino} ${stats.mtimeNs} ${stats.ctimeNs}`;
  });
  return facts.join('\n');
}
