import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { throwIfAborted } from '../../core/abort.ts';
import { invalidArgument, resourceExhausted } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { quote } from '../../core/quote.ts';
import { fileError } from './file-error.ts';
import { type FileFacts, fileFactsOf } from './file-facts.ts';
import { joinInRoot, symlinkTargetInRoot } from './symlink-target.ts';

/** Most entries of one action's inputs; a million files is more than any build action reads. */
const ENTRIES_MAX = 1_000_000;
/** Deepest path, so that a loop of bind mounts ends in an error. */
const DEPTH_MAX = 256;
/** Links on the way to one named input; Linux itself stops at 40. */
const LINKS_MAX = 40;
/** The scan hands the event loop a turn this often: Ctrl-C and progress want one. */
const YIELD_ENTRIES = 2_000;

/** A directory of the input root as found on disk. Names are unique across the three maps. */
export interface ScannedDirectory {
  readonly files: Map<string, FileFacts>;
  readonly directories: Map<string, ScannedDirectory>;
  /** Name to target. */
  readonly symlinks: Map<string, string>;
}

/** What a scan counts, for progress and for the summary. */
export interface ScanTotals {
  readonly fileCount: number;
  readonly sizeBytes: number;
}

/** Finds out which files, directories and symlinks the named inputs are made of; reads no file. */
export class InputScan {
  readonly root: ScannedDirectory = emptyDirectory();
  readonly #rootPath: string;
  readonly #complete = new Set<string>();
  #entryCount = 0;
  #fileCount = 0;
  #sizeBytes = 0;

  constructor(rootPath: string) {
    this.#rootPath = rootPath;
  }

  get totals(): ScanTotals {
    return { fileCount: this.#fileCount, sizeBytes: this.#sizeBytes };
  }

  /**
   * Adds a path below the root with everything under it. A symlink on the way is kept as a symlink, and what it
   * points at is added as well, since the person named it.
   */
  async add(path: string, options: IoOptions = {}): Promise<void> {
    let segments = path === '' ? [] : path.split('/');
    let directory = this.root;
    let at = '';
    for (let links = 0, index = 0; index < segments.length; index++) {
      const name = segments[index] ?? '';
      const here = joinInRoot(at, name);
      const stats = this.#stat(here, links > 0 ? path : here);
      if (stats.isSymbolicLink()) {
        if (++links > LINKS_MAX)
          throw invalidArgument(`input ${quote(path)}: more than ${LINKS_MAX} symlinks on the way`);
        const target = this.#addSymlink(directory, at, name);
        segments = [...(target === '' ? [] : target.split('/')), ...segments.slice(index + 1)];
        directory = this.root;
        at = '';
        index = -1;
      } else if (stats.isDirectory()) {
        directory = child(directory, name);
        at = here;
      } else if (index < segments.length - 1) {
        throw invalidArgument(`input ${quote(path)}: ${quote(here)} is not a directory`);
      } else {
        this.#addEntry(directory, at, name, stats);
        return;
      }
    }
    await this.#addChildren(directory, at, options);
  }

  async #addChildren(directory: ScannedDirectory, at: string, options: IoOptions): Promise<void> {
    throwIfAborted(options.signal);
    if (this.#complete.has(at)) return;
    this.#complete.add(at);
    if (at.split('/').length > DEPTH_MAX)
      throw invalidArgument(`input ${quote(at)}: deeper than ${DEPTH_MAX} directories`);
    for (const name of this.#list(at)) {
      const stats = this.#stat(joinInRoot(at, name));
      if (stats.isDirectory()) await this.#addChildren(child(directory, name), joinInRoot(at, name), options);
      else if (stats.isSymbolicLink()) this.#addSymlink(directory, at, name);
      else this.#addEntry(directory, at, name, stats);
      if (this.#entryCount % YIELD_ENTRIES === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #addEntry(directory: ScannedDirectory, at: string, name: string, stats: BigIntStats): void {
    const path = joinInRoot(at, name);
    if (!stats.isFile()) {
      throw invalidArgument(
        `input ${quote(path)} is a ${kindOf(stats)}, expected a file, directory or symlink`,
      );
    }
    if (directory.files.has(name)) return;
    this.#count();
    this.#fileCount++;
    this.#sizeBytes += Number(stats.size);
    directory.files.set(name, fileFactsOf(join(this.#rootPath, path), stats));
  }

  /** Returns where the link points, as a path in the root. */
  #addSymlink(directory: ScannedDirectory, at: string, name: string): string {
    const path = joinInRoot(at, name);
    const target = this.#read(path, (absolute) => readlinkSync(absolute));
    const resolved = symlinkTargetInRoot(path, target);
    if (!directory.symlinks.has(name)) this.#count();
    directory.symlinks.set(name, target);
    return resolved;
  }

  #count(): void {
    this.#entryCount++;
    if (this.#entryCount > ENTRIES_MAX) {
      throw resourceExhausted(`inputs have more than ${ENTRIES_MAX} files, the most one action may have`);
    }
  }

  /** `named` is what the person wrote, where links led from there to `path`. */
  #stat(path: string, named = path): BigIntStats {
    const attempt =
      named === path ? undefined : `input ${quote(named)}, a symlink that leads to ${quote(path)}`;
    return this.#read(path, (absolute) => lstatSync(absolute, { bigint: true }), attempt);
  }

  #list(path: string): string[] {
    const names = this.#read(path === '' ? '.' : path, () => readdirSync(join(this.#rootPath, path)));
    const damaged = names.find((name) => name.includes('\uFFFD'));
    if (damaged !== undefined) {
      throw invalidArgument(`input ${quote(joinInRoot(path, damaged))}: the name is not valid UTF-8`);
    }
    return names;
  }

  #read<T>(path: string, read: (absolute: string) => T, attempt = `input ${quote(path)}`): T {
    try {
      return read(join(this.#rootPath, path));
    } catch (error) {
      throw fileError(error, attempt);
    }
  }
}

function emptyDirectory(): ScannedDirectory {
  return { files: new Map(), directories: new Map(), symlinks: new Map() };
}

function child(directory: ScannedDirectory, name: string): ScannedDirectory {
  let found = directory.directories.get(name);
  if (found === undefined) {
    found = emptyDirectory();
    directory.directories.set(name, found);
  }
  return found;
}

function kindOf(stats: BigIntStats): string {
  if (stats.isSocket()) return 'socket';
  if (stats.isFIFO()) return 'named pipe';
  return stats.isBlockDevice() || stats.isCharacterDevice() ? 'device' : 'special file';
}
