import { join } from 'node:path';
import type { Cgroup, CgroupHost, CgroupLimits, CgroupUsage } from './cgroup.ts';
import {
  CPU_PERIOD_US,
  groupMembers,
  INGOT_GROUP,
  killMembers,
  makeGroup,
  readControl,
  readControlField,
  readControlNumber,
  removeGroup,
  tidyGroups,
  writeControl,
} from './cgroup-files.ts';

/** Weight of one core; the kernel's default for a group. */
const SHARES_PER_CORE = 1024;
const SHARES_MIN = 2;
const NS_PER_MS = 1e6;

/** Folders of the version 1 controllers this process may make groups in. */
export interface CgroupV1Folders {
  readonly memory: string | undefined;
  readonly pids: string | undefined;
  readonly cpu: string | undefined;
  readonly cpuacct: string | undefined;
}

/** Control groups of version 1: a tree for each controller, of which any may be missing. */
export class CgroupV1Host implements CgroupHost {
  readonly limits: readonly string[];
  readonly #folders: CgroupV1Folders;
  readonly #cpuCeiling: boolean;

  constructor({ folders, cpuCeiling }: { folders: CgroupV1Folders; cpuCeiling: boolean }) {
    this.#folders = folders;
    this.#cpuCeiling = cpuCeiling;
    const means = (folder: string | undefined, note = ''): string =>
      folder === undefined ? 'none' : `cgroup v1${note}`;
    this.limits = [
      `memory=${means(folders.memory)}`,
      `pids=${means(folders.pids)}`,
      `cpu=${means(folders.cpu, cpuCeiling ? ' ceiling' : ' weight')}`,
    ];
  }

  create(name: string, limits: CgroupLimits): Cgroup {
    const group = new CgroupV1(this.#folders, name);
    group.make(limits, this.#cpuCeiling);
    return group;
  }

  tidy(isStale: (name: string) => boolean): void {
    for (const folder of distinct(this.#folders)) tidyGroups(folder, isStale);
  }
}

class CgroupV1 implements Cgroup {
  readonly joinFiles: readonly string[];
  readonly #memory: string | undefined;
  readonly #pids: string | undefined;
  readonly #cpu: string | undefined;
  readonly #cpuacct: string | undefined;
  readonly #all: readonly string[];

  constructor(folders: CgroupV1Folders, name: string) {
    const below = (folder: string | undefined): string | undefined =>
      folder === undefined ? undefined : join(folder, INGOT_GROUP, name);
    this.#memory = below(folders.memory);
    this.#pids = below(folders.pids);
    this.#cpu = below(folders.cpu);
    this.#cpuacct = below(folders.cpuacct);
    this.#all = distinct(folders).map((folder) => join(folder, INGOT_GROUP, name));
    this.joinFiles = this.#all.map((folder) => join(folder, 'cgroup.procs'));
  }

  make({ memoryBytes, pids, cpuMillis }: CgroupLimits, cpuCeiling: boolean): void {
    for (const folder of this.#all) makeGroup(folder);
    if (this.#memory !== undefined && memoryBytes > 0) {
      writeControl(this.#memory, 'memory.limit_in_bytes', memoryBytes);
      // Only where the kernel counts swap; without it a full action would swap the machine to a halt.
      const swap = 'memory.memsw.limit_in_bytes';
      if (readControl(this.#memory, swap) !== undefined) writeControl(this.#memory, swap, memoryBytes);
    }
    if (this.#pids !== undefined && pids > 0) writeControl(this.#pids, 'pids.max', pids);
    if (this.#cpu !== undefined && cpuMillis > 0) {
      const shares = Math.max(SHARES_MIN, Math.round((cpuMillis * SHARES_PER_CORE) / 1000));
      writeControl(this.#cpu, 'cpu.shares', shares);
      if (cpuCeiling) {
        writeControl(this.#cpu, 'cpu.cfs_period_us', CPU_PERIOD_US);
        writeControl(this.#cpu, 'cpu.cfs_quota_us', Math.round((cpuMillis * CPU_PERIOD_US) / 1000));
      }
    }
  }

  usage(): CgroupUsage {
    const ms = (ns: number | undefined): number | undefined => (ns === undefined ? ns : ns / NS_PER_MS);
    return {
      ...(this.#memory !== undefined && {
        memoryPeakBytes: readControlNumber(this.#memory, 'memory.max_usage_in_bytes'),
        oomKills: readControlField(this.#memory, 'memory.oom_control', 'oom_kill'),
      }),
      ...(this.#pids !== undefined && {
        pidsPeak: readControlNumber(this.#pids, 'pids.peak'),
        pidsRefused: readControlField(this.#pids, 'pids.events', 'max'),
      }),
      ...(this.#cpuacct !== undefined && {
        cpuUserMs: ms(readControlNumber(this.#cpuacct, 'cpuacct.usage_user')),
        cpuSystemMs: ms(readControlNumber(this.#cpuacct, 'cpuacct.usage_sys')),
      }),
    };
  }

  members(): number[] {
    return [...new Set(this.#all.flatMap(groupMembers))];
  }

  killAll(): void {
    for (const folder of this.#all) killMembers(folder);
  }

  remove(): void {
    for (const folder of this.#all) removeGroup(folder);
  }
}

function distinct(folders: CgroupV1Folders): string[] {
  const present = [folders.memory, folders.pids, folders.cpu, folders.cpuacct];
  return [...new Set(present.filter((folder) => folder !== undefined))];
}
