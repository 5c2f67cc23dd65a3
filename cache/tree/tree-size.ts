import type { Digest } from '../../core/digest.ts';
import { type IngotError, invalidArgument } from '../../core/error.ts';
import type { Directory } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** What a tree may have at the most. */
export interface TreeLimits {
  /** Files, directories and symlinks, each as often as a path leads to it. */
  readonly nodesMax: number;
  /** Directories on the longest path, the root included. */
  readonly depthMax: number;
  /** Encoded bytes of all distinct directories. */
  readonly bytesMax: number;
}

interface Counted {
  /** Entries in the directory itself. */
  readonly entries: number;
  /** Keys of its subdirectories, with repetitions. */
  readonly children: readonly string[];
  /** Of the whole subtree; set once all of its children's are. */
  total?: { readonly nodes: number; readonly depth: number };
}

/**
 * Adds up a tree of which every distinct directory is seen once, without writing out the paths: ten levels of ten
 * equal directories are ten additions. INVALID_ARGUMENT when a limit is passed.
 */
export class TreeSize {
  readonly #limits: TreeLimits;
  readonly #directories = new Map<string, Counted>();
  #entries = 0;
  #bytes = 0;

  constructor(limits: TreeLimits) {
    this.#limits = limits;
  }

  /** Before a directory is fetched, `depth` levels below the root by some path. */
  expect(digest: Digest, depth: number): void {
    const { depthMax, bytesMax } = this.#limits;
    if (depth >= depthMax) throw tooDeep(depthMax);
    this.#bytes += digest.sizeBytes;
    if (this.#bytes > bytesMax) {
      throw invalidArgument(`the directories of the tree have more than ${bytesMax} bytes`);
    }
  }

  /** A directory that was fetched, and the digests of its subdirectories. */
  add(digest: Digest, directory: Directory, children: readonly Digest[]): void {
    const entries = directory.files.length + directory.directories.length + directory.symlinks.length;
    this.#entries += entries;
    if (this.#entries > this.#limits.nodesMax) throw this.#tooManyNodes();
    this.#directories.set(digest.key, { entries, children: children.map(({ key }) => key) });
  }

  /** When all are added: checks the tree as it would be written out from the root. Absent ones count as empty. */
  check(root: Digest): void {
    const stack = [root.key];
    for (let key = stack.at(-1); key !== undefined; key = stack.at(-1)) {
      const counted = this.#directories.get(key);
      // A directory may be on the stack twice; its second turn finds the sum done.
      const open = counted === undefined || counted.total !== undefined ? [] : this.#notAdded(counted);
      stack.push(...open);
      if (open.length > 0) continue;
      stack.pop();
      if (counted !== undefined) counted.total ??= this.#sum(counted);
    }
  }

  #notAdded({ children }: Counted): string[] {
    return [...new Set(children)].filter((key) => {
      const child = this.#directories.get(key);
      return child !== undefined && child.total === undefined;
    });
  }

  #sum({ entries, children }: Counted): { readonly nodes: number; readonly depth: number } {
    let nodes = entries;
    let depth = 1;
    for (const key of children) {
      const total = this.#directories.get(key)?.total;
      if (total === undefined) continue;
      nodes += total.nodes;
      depth = Math.max(depth, 1 + total.depth);
    }
    if (nodes > this.#limits.nodesMax) throw this.#tooManyNodes();
    if (depth > this.#limits.depthMax) throw tooDeep(this.#limits.depthMax);
    return { nodes, depth };
  }

  #tooManyNodes(): IngotError {
    return invalidArgument(`the tree has more than ${this.#limits.nodesMax} files, directories and symlinks`);
  }
}

function tooDeep(depthMax: number): IngotError {
  return invalidArgument(`the tree has more than ${depthMax} levels of directories`);
}
