import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Finding } from './finding.ts';

/** Limits that the worker sets where it can. */
const CONTROLLERS = ['memory', 'cpu', 'pids'] as const;

interface CgroupPlaces {
  /** Default `/sys/fs/cgroup`. */
  readonly mount?: string;
  /** Default `/proc/self/cgroup`. */
  readonly membership?: string;
}

/** Which limits on an action's memory, processor and processes will hold here, with cgroups of either version. */
export async function checkCgroups(places: CgroupPlaces = {}): Promise<Finding> {
  const { mount = '/sys/fs/cgroup', membership = '/proc/self/cgroup' } = places;
  const groups = parseMembership((await readIfThere(membership)) ?? '');
  const unified = await readIfThere(join(mount, 'cgroup.controllers'));
  const version = unified === undefined ? 1 : 2;

  const usable: string[] = [];
  for (const controller of CONTROLLERS) {
    const folder =
      unified === undefined
        ? await ownFolder(join(mount, controller), groups.get(controller))
        : await ownFolder(mount, groups.get(''));
    const offered = unified === undefined || (await controllersOf(folder)).includes(controller);
    if (offered && (await isWritable(folder))) usable.push(controller);
  }

  const absent = CONTROLLERS.filter((controller) => !usable.includes(controller));
  if (absent.length === 0) {
    return {
      check: 'cgroups',
      status: 'ok',
      detail: `version ${version}: ${usable.join(', ')} can be limited`,
    };
  }
  const some = usable.length > 0 ? `; ${usable.join(', ')} can (version ${version})` : '';
  return {
    check: 'cgroups',
    status: 'note',
    detail: `no limit on ${absent.join(', ')} of an action can be set by this user${some}`,
    fix: 'run the worker as root, or under systemd with Delegate=yes',
  };
}

/** Controller to path below its mount; the unified hierarchy under the empty name. */
function parseMembership(text: string): Map<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) groups.set(controller, path);
  }
  return groups;
}

/** This process's group; in a container its path may be one of the host's, and the mount itself is the group. */
async function ownFolder(mount: string, path: string | undefined): Promise<string> {
  const own = join(mount, path ?? '');
  return (await canReach(own)) ? own : mount;
}

async function controllersOf(folder: string): Promise<string[]> {
  return ((await readIfThere(join(folder, 'cgroup.controllers'))) ?? '').trim().split(' ');
}

async function isWritable(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}

async function canReach(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}

async function readIfThere(path: string): Promise<string | undefined> {
  // A file that is not there and one that may not be read tell the same: nothing to use.
  return readFile(path, 'utf8').catch(() => undefined);
}
