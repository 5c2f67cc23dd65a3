import { type BigIntStats, chmodSync, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { failedPrecondition, type IngotError, resourceExhausted } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import { type OutputEntry, OutputEntry_Kind } from '../../proto/gen/ingot/v1/launcher.ts';
import { checkInnerPath } from './inner-path.ts';

/** What is looked for, and how much of it is too much. */
export interface OutputScanRequest {
  /** Relative to `root`. */
  readonly paths: readonly string[];
  readonly entriesMax: number;
  readonly bytesMax: number;
  readonly depthMax: number;
}

/** Entries looked at between two turns of the event loop; about 10 ms. */
const ENTRIES_PER_TURN = 1000;

/**
 * Lists what an action left below `root`, without following a link and without opening anything but folders. Nothing
 * of the action may run any more. FAILED_PRECONDITION for what can be no output, RESOURCE_EXHAUSTED over a limit.
 */
export class OutputScan {
  readonly #root: string;
  readonly #request: OutputScanRequest;
  #entries = 0;
  #bytes = 0n;

  constructor(root: string, request: OutputScanRequest) {
    this.#root = root;
    this.#request = request;
  }

  /** In parts of up to a thousand entries. */
  async *run(): AsyncGenerator<OutputEntry[]> {
    let batch: OutputEntry[] = [];
    for (const entry of this.#all()) {
      batch.push(entry);
      if (batch.length < ENTRIES_PER_TURN) continue;
      yield batch;
      batch = [];
      await nextTurn();
    }
    if (batch.length > 0) yield batch;
  }

  *#all(): Generator<OutputEntry> {
    for (const [pathIndex, path] of this.#request.paths.entries()) {
      if (path !== '') checkInnerPath(path, 'output path');
      if (!this.#parentsAreFolders(path)) continue;
      const stats = lstatOrUndefined(join(this.#root, path));
      if (stats !== undefined) yield* this.#visit(path, path, pathIndex, stats);
    }
  }

  /** False when the output cannot exist: a folder on its way is missing or a file. */
  #parentsAreFolders(path: string): boolean {
    const segments = path.split('/');
    for (let count = 1; count < segments.length; count += 1) {
      const parent = segments.slice(0, count).join('/');
      const stats = lstatOrUndefined(join(this.#root, parent));
      if (stats?.isSymbolicLink()) {
        throw failedPrecondition(
          `output ${quote(path)}: its parent ${quote(parent)} is a symbolic link, expected a directory`,
        );
      }
      if (!stats?.isDirectory()) return false;
      openFolder(join(this.#root, parent), stats);
    }
    return true;
  }

  *#visit(output: string, top: string, pathIndex: number, topStats: BigIntStats): Generator<OutputEntry> {
    const pending = [{ path: top, stats: topStats, depth: 0 }];
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      const { path, stats, depth } = node;
      this.#count(output, stats);
      yield this.#entry(path, pathIndex, stats);
      if (!stats.isDirectory()) continue;
      if (depth >= this.#request.depthMax) {
        throw resourceExhausted(
          `output ${quote(output)} is deeper than ${this.#request.depthMax} directories, the most that is kept`,
        );
      }
      const absolute = join(this.#root, path);
      openFolder(absolute, stats);
      // Backwards, since the last one pushed is the first one visited.
      for (const name of this.#namesIn(absolute, path).reverse()) {
        const child = path === '' ? name : `${path}/${name}`;
        const childStats = lstatSync(join(this.#root, child), { bigint: true });
        pending.push({ path: child, stats: childStats, depth: depth + 1 });
      }
    }
  }

  #namesIn(absolute: string, path: string): string[] {
    // Sorted here: the order of a Tree's children follows from it, and the same outputs must make the same Tree.
    const names = readdirSync(absolute, { encoding: 'buffer' }).sort(Buffer.compare);
    if (this.#entries + names.length > this.#request.entriesMax) throw this.#tooMany();
    return names.map((bytes) => {
      const name = bytes.toString();
      if (Buffer.from(name).equals(bytes)) return name;
      throw failedPrecondition(
        `output directory ${quote(path)} has an entry whose name is not UTF-8: ${quote(name)}`,
      );
    });
  }

  #count(output: string, stats: BigIntStats): void {
    this.#entries += 1;
    if (this.#entries > this.#request.entriesMax) throw this.#tooMany();
    if (!stats.isFile()) return;
    this.#bytes += stats.size;
    if (this.#bytes > BigInt(this.#request.bytesMax)) {
      throw resourceExhausted(
        `outputs have more than ${this.#request.bytesMax} bytes, the most that is kept (at ${quote(output)})`,
      );
    }
  }

  #tooMany(): IngotError {
    return resourceExhausted(
      `outputs have more than ${this.#request.entriesMax} entries, the most that are kept`,
    );
  }

  #entry(path: string, pathIndex: number, stats: BigIntStats): OutputEntry {
    const absolute = join(this.#root, path);
    const kind = kindOf(path, stats);
    if (kind === OutputEntry_Kind.FILE) grant(absolute, stats, 0o400);
    return {
      path,
      kind,
      sizeBytes: kind === OutputEntry_Kind.FILE ? Number(stats.size) : 0,
      unixMode: Number(stats.mode & 0o7777n),
      mtime: {
        seconds: Number(stats.mtimeNs / 1_000_000_000n),
        nanos: Number(stats.mtimeNs % 1_000_000_000n),
      },
      target: kind === OutputEntry_Kind.SYMLINK ? targetOf(absolute, path) : '',
      pathIndex,
    };
  }
}

function openFolder(absolute: string, stats: BigIntStats): void {
  grant(absolute, stats, 0o500);
}

/** Lets a worker that is not root see what the action has closed to itself. The mode reported is the action's. */
function grant(absolute: string, stats: BigIntStats, bits: number): void {
  const mode = Number(stats.mode & 0o777n);
  if ((mode & bits) !== bits && process.getuid?.() !== 0) chmodSync(absolute, mode | bits);
}

function targetOf(absolute: string, path: string): string {
  const bytes = readlinkSync(absolute, { encoding: 'buffer' });
  const target = bytes.toString();
  if (Buffer.from(target).equals(bytes)) return target;
  throw failedPrecondition(`output ${quote(path)} is a symbolic link whose target is not UTF-8`);
}

function kindOf(path: string, stats: BigIntStats): OutputEntry['kind'] {
  if (stats.isFile()) return OutputEntry_Kind.FILE;
  if (stats.isDirectory()) return OutputEntry_Kind.DIRECTORY;
  if (stats.isSymbolicLink()) return OutputEntry_Kind.SYMLINK;
  const what = stats.isFIFO() ? 'a FIFO' : stats.isSocket() ? 'a socket' : 'a device';
  throw failedPrecondition(
    `output ${quote(path)} is ${what}, expected a file, a directory or a symbolic link`,
  );
}

function lstatOrUndefined(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
