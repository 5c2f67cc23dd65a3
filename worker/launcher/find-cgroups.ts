import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupHost } from './cgroup.ts';
import { INGOT_GROUP, makeGroup, readControl, removeGroup, writeControl } from './cgroup-files.ts';
import { CgroupV1Host } from './cgroup-v1.ts';
import { CgroupV2Host } from './cgroup-v2.ts';

const WANTED = ['memory', 'pids', 'cpu'] as const;

/** Where the kernel tells of control groups; other folders only in tests. */
export interface CgroupSources {
  /** Text of /proc/self/mounts. */
  readonly mounts: string;
  /** Text of /proc/self/cgroup. */
  readonly membership: string;
}

/** The sources of this process. */
export function cgroupSources(): CgroupSources {
  return {
    mounts: readFileSync('/proc/self/mounts', 'utf8'),
    membership: readFileSync('/proc/self/cgroup', 'utf8'),
  };
}

/**
 * The control groups this process may use: version 2 when it gives us memory, pids and cpu, else each controller of
 * version 1 that can be written to, else undefined.
 */
export function findCgroups(
  { mounts, membership }: CgroupSources,
  { cpuCeiling }: { readonly cpuCeiling: boolean },
): CgroupHost | undefined {
  const points = mounts.split('\n').map((line) => line.split(' '));
  for (const [, point, type] of points) {
    if (type !== 'cgroup2' || point === undefined) continue;
    const folder = usableV2(unescaped(point));
    if (folder !== undefined) return new CgroupV2Host({ folder, cpuCeiling });
  }
  const controller = (name: string): string | undefined => {
    const mount = points.find(
      ([, , type, options]) => type === 'cgroup' && options?.split(',').includes(name),
    );
    return mount?.[1] === undefined ? undefined : usableV1(unescaped(mount[1]), ownPath(membership, name));
  };
  const folders = {
    memory: controller('memory'),
    pids: controller('pids'),
    cpu: controller('cpu'),
    cpuacct: controller('cpuacct'),
  };
  const some = Object.values(folders).some((folder) => folder !== undefined);
  return some ? new CgroupV1Host({ folders, cpuCeiling }) : undefined;
}

/** Where the controller's line of /proc/self/cgroup puts us, so that limits around this process hold for actions too. */
function ownPath(membership: string, controller: string): string {
  for (const line of membership.split('\n')) {
    const [, controllers, ...path] = line.split(':');
    if (controllers?.split(',').includes(controller)) return path.join(':');
  }
  return '/';
}

function usableV1(mountPoint: string, own: string): string | undefined {
  // In a container the path is the host's and does not exist below the mount point, which then is our own group.
  const folder = isFolder(join(mountPoint, own)) ? join(mountPoint, own) : mountPoint;
  return canMakeGroup(folder) ? folder : undefined;
}

/** Only at the mount point: further down, a group with processes of its own cannot give controllers to children. */
function usableV2(mountPoint: string): string | undefined {
  const offered = readControl(mountPoint, 'cgroup.controllers')?.split(' ') ?? [];
  if (!WANTED.every((name) => offered.includes(name)) || !canMakeGroup(mountPoint)) return undefined;
  try {
    writeControl(mountPoint, 'cgroup.subtree_control', '+memory +pids +cpu');
    return mountPoint;
  } catch {
    // EBUSY or EROFS: the controllers are not ours to hand on, so this version cannot be used.
    return undefined;
  }
}

function canMakeGroup(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    makeGroup(join(folder, INGOT_GROUP));
    removeGroup(join(folder, INGOT_GROUP));
    return true;
  } catch {
    // Read-only, or not ours: the same as not there.
    return false;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Mount points are written with octal escapes for blanks. */
function unescaped(point: string): string {
  return point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
