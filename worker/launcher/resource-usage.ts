import { RunEnded_Termination as Termination } from '../../proto/gen/ingot/v1/launcher.ts';
import type { ResourceUsage } from '../../proto/gen/ingot/v1/usage.ts';
import { durationOf } from '../wire-time.ts';
import type { CgroupUsage } from './cgroup.ts';
import type { LauncherSetup } from './launcher-setup.ts';

const TERMINATIONS: Readonly<Record<Termination, string>> = {
  [Termination.EXITED]: 'exited',
  [Termination.NOT_STARTED]: 'not started',
  [Termination.TIMED_OUT]: 'timed out',
  [Termination.CANCELLED]: 'cancelled',
  [Termination.OUTPUT_LIMIT]: 'output limit',
  [Termination.UNRECOGNIZED]: 'unknown',
};

/** What a run took, as it goes into the action's metadata. */
export function resourceUsageOf(
  { limits, level }: Pick<LauncherSetup, 'limits' | 'level'>,
  usage: CgroupUsage,
  termination: Termination,
): ResourceUsage {
  const duration = (ms: number | undefined) => (ms === undefined ? undefined : durationOf(ms));
  return {
    memoryPeakBytes: usage.memoryPeakBytes,
    cpuUser: duration(usage.cpuUserMs),
    cpuSystem: duration(usage.cpuSystemMs),
    pidsPeak: usage.pidsPeak,
    oomKills: usage.oomKills,
    pidsRefused: usage.pidsRefused,
    termination: TERMINATIONS[termination],
    limits: [...limits],
    sandbox: level,
  };
}
