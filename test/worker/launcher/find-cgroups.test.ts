import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findCgroups } from '../../../worker/launcher/find-cgroups.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

// Plain folders stand in for the kernel's: what is written and read is the same, that it works is tested elsewhere.

const LIMITS = { memoryBytes: 1000, cpuMillis: 1500, pids: 50 };

function read(...path: string[]): string {
  return readFileSync(join(...path), 'utf8');
}

describe('findCgroups', () => {
  test('uses version 2 when it gives memory, pids and cpu', async () => {
    await using folder = await tempFolder();
    const { path } = folder;
    await writeFile(join(path, 'cgroup.controllers'), 'cpu io memory pids\n');
    const host = findCgroups(
      { mounts: `cgroup2 ${path} cgroup2 rw 0 0`, membership: '0::/' },
      { cpuCeiling: true },
    )!;
    expect(host.limits).toEqual(['memory=cgroup v2', 'pids=cgroup v2', 'cpu=cgroup v2 ceiling']);
    expect(read(path, 'cgroup.subtree_control')).toBe('+memory +pids +cpu');

    const group = host.create('user-61000', LIMITS);
    const own = join(path, 'ingot', 'user-61000');
    expect(read(own, 'memory.max')).toBe('1000');
    expect(read(own, 'pids.max')).toBe('50');
    expect(read(own, 'cpu.weight')).toBe('150');
    expect(read(own, 'cpu.max')).toBe('150000 100000');
    expect(group.joinFiles).toEqual([join(own, 'cgroup.procs')]);

    await writeFile(join(own, 'memory.peak'), '900\n');
    await writeFile(join(own, 'memory.events'), 'low 0\noom 3\noom_kill 2\n');
    await writeFile(join(own, 'cpu.stat'), 'usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\n');
    await writeFile(join(own, 'pids.events'), 'max 4\n');
    expect(group.usage()).toEqual({
      memoryPeakBytes: 900,
      oomKills: 2,
      cpuUserMs: 3,
      cpuSystemMs: 2,
      pidsRefused: 4,
      pidsPeak: undefined,
    });
  });

  test('uses version 1 where version 2 lacks a controller, each as far as it is there', async () => {
    await using folder = await tempFolder();
    const { path } = folder;
    for (const name of ['unified', 'memory/own/group', 'cpu'])
      await mkdir(join(path, name), { recursive: true });
    await writeFile(join(path, 'unified', 'cgroup.controllers'), 'hugetlb\n');
    const mounts = [
      `cgroup2 ${path}/unified cgroup2 rw 0 0`,
      `cgroup ${path}/memory cgroup rw,memory 0 0`,
      `cgroup ${path}/cpu cgroup rw,cpu 0 0`,
    ].join('\n');
    const membership = '4:memory:/own/group\n2:cpu:/elsewhere\n0::/\n';
    const host = findCgroups({ mounts, membership }, { cpuCeiling: false })!;
    expect(host.limits).toEqual(['memory=cgroup v1', 'pids=none', 'cpu=cgroup v1 weight']);

    host.create('user-61000', LIMITS);
    expect(read(path, 'memory/own/group/ingot/user-61000/memory.limit_in_bytes')).toBe('1000');
    expect(read(path, 'cpu/ingot/user-61000/cpu.shares')).toBe('1536');
    expect(existsSync(join(path, 'cpu/ingot/user-61000/cpu.cfs_quota_us'))).toBe(false);
  });

  test('removes what an earlier process left, and nothing of others', async () => {
    await using folder = await tempFolder();
    const { path } = folder;
    await mkdir(join(path, 'memory', 'ingot', 'user-61000-lease-1'), { recursive: true });
    await mkdir(join(path, 'memory', 'ingot', 'user-61001-lease-1'));
    const mounts = `cgroup ${path}/memory cgroup rw,memory 0 0`;
    const host = findCgroups({ mounts, membership: '' }, { cpuCeiling: false })!;
    host.tidy((name) => name.startsWith('user-61000-'));
    expect(readdirSync(join(path, 'memory', 'ingot'))).toEqual(['user-61001-lease-1']);
    host.tidy(() => true);
    expect(readdirSync(join(path, 'memory'))).toEqual([]);
  });

  test('finds nothing where there is nothing', () => {
    expect(
      findCgroups({ mounts: 'proc /proc proc rw 0 0', membership: '' }, { cpuCeiling: false }),
    ).toBeUndefined();
  });
});
