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

/** Weight of one core; the kernel's default for a group, and its bounds. */
const WEIGHT_PER_CORE = 100;
const WEIGHT_MAX = 10_000;
const US_PER_MS = 1000;

/** Control groups of version 2: one tree, where memory, pids and cpu are all ours to use. */
export class CgroupV2Host implements CgroupHost {
  readonly limits: readonly string[];
  readonly #folder: string;
  readonly #cpuCeiling: boolean;

  /** `folder` already gives its children the controllers. */
  constructor({ folder, cpuCeiling }: { folder: string; cpuCeiling: boolean }) {
    this.#folder = folder;
    this.#cpuCeiling = cpuCeiling;
    this.limits = [
      'memory=cgroup v2',
      'pids=cgroup v2',
      `cpu=cgroup v2 ${cpuCeiling ? 'ceiling' : 'weight'}`,
    ];
  }

  create(name: string, { memoryBytes, pids, cpuMillis }: CgroupLimits): Cgroup {
    const parent = join(this.#folder, INGOT_GROUP);
    makeGroup(parent);
    writeControl(parent, 'cgroup.subtree_control', '+memory +pids +cpu');
    const folder = join(parent, name);
    makeGroup(folder);
    if (memoryBytes > 0) {
      writeControl(folder, 'memory.max', memoryBytes);
      if (readControl(folder, 'memory.swap.max') !== undefined) writeControl(folder, 'memory.swap.max', 0);
    }
    if (pids > 0) writeControl(folder, 'pids.max', pids);
    if (cpuMillis > 0) {
      const weight = Math.round((cpuMillis * WEIGHT_PER_CORE) / 1000);
      writeControl(folder, 'cpu.weight', Math.min(WEIGHT_MAX, Math.max(1, weight)));
      if (this.#cpuCeiling) {
        const quotaUs = Math.round((cpuMillis * CPU_PERIOD_US) / 1000);
        writeControl(folder, 'cpu.max', `${quotaUs} ${CPU_PERIOD_US}`);
      }
    }
    return new CgroupV2(folder);
  }

  tidy(isStale: (name: string) => boolean): void {
    tidyGroups(this.#folder, isStale);
  }
}

class CgroupV2 implements Cgroup {
  readonly joinFiles: readonly string[];
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.joinFiles = [join(folder, 'cgroup.procs')];
  }

  usage(): CgroupUsage {
    const ms = (field: string): number | undefined => {
      const us = readControlField(this.#folder, 'cpu.stat', field);
      return us === undefined ? undefined : us / US_PER_MS;
    };
    return {
      memoryPeakBytes: readControlNumber(this.#folder, 'memory.peak'),
      oomKills: readControlField(this.#folder, 'memory.events', 'oom_kill'),
      pidsPeak: readControlNumber(this.#folder, 'pids.peak'),
      pidsRefused: readControlField(this.#folder, 'pids.events', 'max'),
      cpuUserMs: ms('user_usec'),
      cpuSystemMs: ms('system_usec'),
    };
  }

  members(): number[] {
    return groupMembers(this.#folder);
  }

  killAll(): void {
    if (readControl(this.#folder, 'cgroup.events') !== undefined) {
      try {
        writeControl(this.#folder, 'cgroup.kill', 1);
        return;
      } catch {
        // Kernels before 5.14 have no cgroup.kill; one by one does it too.
      }
    }
    killMembers(this.#folder);
  }

  remove(): void {
    removeGroup(this.#folder);
  }
}
