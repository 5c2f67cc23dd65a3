/** What one action may take; 0 sets no limit of that kind. */
export interface CgroupLimits {
  readonly memoryBytes: number;
  readonly cpuMillis: number;
  readonly pids: number;
}

/** What one action took, as far as the kernel tells. */
export interface CgroupUsage {
  readonly memoryPeakBytes?: number | undefined;
  readonly cpuUserMs?: number | undefined;
  readonly cpuSystemMs?: number | undefined;
  readonly pidsPeak?: number | undefined;
  readonly oomKills?: number | undefined;
  readonly pidsRefused?: number | undefined;
}

/** The control group of one action. */
export interface Cgroup {
  /** A process joins by writing `0` into each of these. */
  readonly joinFiles: readonly string[];
  usage(): CgroupUsage;
  /** Processes in it. */
  members(): number[];
  /** Sends SIGKILL to every process in it; call again until `members` is empty. */
  killAll(): void;
  /** Removes it, empty as it must be. */
  remove(): void;
}

/** Makes control groups, in whatever version this machine has. */
export interface CgroupHost {
  /** How each limit is set: `memory=cgroup v1`, `cpu=none`. */
  readonly limits: readonly string[];
  create(name: string, limits: CgroupLimits): Cgroup;
  /** Removes the empty groups of these names, and the folder around them when nothing else is in it. */
  tidy(isStale: (name: string) => boolean): void;
}
