import {
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import { type InputEntry, InputEntry_Kind } from '../../proto/gen/ingot/v1/launcher.ts';
import { checkInnerPath } from './inner-path.ts';
import type { LeaseFolder } from './lease-folder.ts';

/** Who owns what an action may change. */
export interface Owner {
  readonly userId: number;
  readonly groupId: number;
}

export interface InputRootOptions {
  readonly folder: LeaseFolder;
  readonly blobsFolder: string;
  /** Undefined: this process's own user, to which input files must then not be links but copies. */
  readonly owner: Owner | undefined;
}

/** Codes of a link that cannot be made where a copy can: too many links, another file system, none at all. */
const COPY_INSTEAD: ReadonlySet<string | undefined> = new Set(['EMLINK', 'EXDEV', 'EPERM', 'ENOTSUP']);

/**
 * Builds one lease's input root. Folders and links in it belong to the slot's user; files are hard links to cached
 * blobs of another user, so that no action can change them. Uses no promises: that is twice as fast.
 */
export class InputRoot {
  readonly #folder: LeaseFolder;
  readonly #blobsFolder: string;
  readonly #owner: Owner | undefined;
  /** Folders made so far: only below them, never through a link, is anything created. */
  readonly #folders = new Set<string>(['.']);

  constructor({ folder, blobsFolder, owner }: InputRootOptions) {
    this.#folder = folder;
    this.#blobsFolder = blobsFolder;
    this.#owner = owner;
    mkdirSync(folder.path, { mode: 0o700 });
    if (owner !== undefined) {
      // The slot's user may pass through to the root, and nobody else's may.
      chownSync(folder.path, 0, owner.groupId);
      chmodSync(folder.path, 0o710);
    }
    for (const path of [folder.root, folder.tmp]) this.#makeFolder(path);
  }

  add(entries: readonly InputEntry[]): void {
    for (const entry of entries) {
      checkInnerPath(entry.path, 'input path');
      if (!this.#folders.has(dirname(entry.path))) {
        throw invalidArgument(`input ${quote(entry.path)} comes before the folder it is in`);
      }
      this.#addOne(entry, join(this.#folder.root, entry.path));
    }
  }

  #addOne(entry: InputEntry, target: string): void {
    switch (entry.kind) {
      case InputEntry_Kind.DIRECTORY:
        this.#makeFolder(target);
        this.#folders.add(entry.path);
        return;
      case InputEntry_Kind.SYMLINK:
        symlinkSync(entry.source, target);
        if (this.#owner !== undefined) lchownSync(target, this.#owner.userId, this.#owner.groupId);
        return;
      case InputEntry_Kind.FILE:
        this.#addFile(entry, target);
        return;
      default:
        throw invalidArgument(`input ${quote(entry.path)} is of an unknown kind`);
    }
  }

  #addFile({ path, source, unixMode, mtime }: InputEntry, target: string): void {
    checkInnerPath(source, `blob of input ${quote(path)}`);
    const blob = join(this.#blobsFolder, source);
    const ownCopy = this.#owner === undefined || unixMode !== undefined || mtime !== undefined;
    if (!ownCopy && linked(blob, target)) return;
    copyFileSync(blob, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    if (unixMode !== undefined) chmodSync(target, unixMode & 0o777);
    // The blob's own time where none is asked for: a copy must not look newer than the links beside it.
    const seconds = mtime === undefined ? lstatSync(blob).mtimeMs / 1000 : mtime.seconds + mtime.nanos / 1e9;
    utimesSync(target, seconds, seconds);
    if (this.#owner !== undefined && (unixMode !== undefined || mtime !== undefined)) {
      chownSync(target, this.#owner.userId, this.#owner.groupId);
    }
  }

  #makeFolder(path: string): void {
    mkdirSync(path);
    chmodSync(path, 0o755);
    if (this.#owner !== undefined) chownSync(path, this.#owner.userId, this.#owner.groupId);
  }
}

function linked(blob: string, target: string): boolean {
  try {
    linkSync(blob, target);
    return true;
  } catch (error) {
    if (COPY_INSTEAD.has((error as NodeJS.ErrnoException).code)) return false;
    throw error;
  }
}
