import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { unavailable } from '../../core/error.ts';

/** What may be hidden below a private mount; the first that holds none of the folders we need is used. */
const STAGES = ['/run', '/mnt', '/srv', '/media'];

/** True when another user cannot get at the folder because of some folder above it, such as a home of mode 0700. */
export function isBehindClosedDoor(folder: string): boolean {
  for (let path = dirname(folder); ; path = dirname(path)) {
    if ((statSync(path).mode & 0o001) === 0) return true;
    if (path === dirname(path)) return false;
  }
}

/**
 * How this process names folders of the machine. With `show`, in a mount namespace of our own, folders behind a
 * closed door are mounted once more where the users of slots can get at them; nobody else sees those mounts.
 */
export class Stage {
  /** Original folder to where it is shown, longest first. */
  readonly #shown: readonly (readonly [string, string])[];

  private constructor(shown: readonly (readonly [string, string])[]) {
    this.#shown = shown.toSorted(([a], [b]) => b.length - a.length);
  }

  /** Every folder under its own name. */
  static none(): Stage {
    return new Stage([]);
  }

  /** Shows the folders below an empty one of ours. The process must be in a mount namespace of its own. */
  static show(folders: readonly string[]): Stage {
    const stage = STAGES.find((path) => isFolder(path) && !folders.some((folder) => isBelow(folder, path)));
    if (stage === undefined) {
      throw unavailable(`show folders to slot users: each of ${STAGES.join(', ')} is missing or in use`);
    }
    mount('-t', 'tmpfs', '-o', 'mode=0755,size=64k,nosuid,nodev', 'ingot', stage);
    const shown = folders.map((folder, index): [string, string] => {
      const at = join(stage, String(index));
      mkdirSync(at);
      mount('--bind', folder, at);
      return [folder, at];
    });
    return new Stage(shown);
  }

  /** Where this process finds what the agent calls `path`. */
  resolve(path: string): string {
    for (const [folder, at] of this.#shown) {
      if (isBelow(path, folder)) return at + path.slice(folder.length);
    }
    return path;
  }
}

function mount(...args: string[]): void {
  execFileSync('mount', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
