import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { failedPrecondition } from '../../core/error.ts';
import type { ConfigureLauncher } from '../../proto/gen/ingot/v1/launcher.ts';
import { isSandboxLevel, type SandboxLevel } from '../sandbox/sandbox-level.ts';
import { seccompProgram } from '../sandbox/seccomp.ts';
import type { CgroupHost } from './cgroup.ts';
import { cgroupSources, findCgroups } from './find-cgroups.ts';
import type { Owner } from './input-root.ts';
import { workFolderOf } from './lease-folder.ts';
import { removeTree } from './lease-removal.ts';
import { isRunning } from './process-tree.ts';
import { findProgram, isSetuid } from './programs.ts';
import { SlotUsers } from './slot-users.ts';
import { Stage } from './stage.ts';

/** What the launcher has found out and claimed once, for all runs. */
export interface LauncherSetup {
  readonly level: SandboxLevel;
  /** As this process must name it. */
  readonly workerFolder: string;
  readonly stage: Stage;
  readonly configuration: ConfigureLauncher;
  /** By slot; undefined at levels where commands run as the worker's own user. */
  readonly owners: readonly (Owner | undefined)[];
  readonly cgroups: CgroupHost | undefined;
  readonly bwrap: string | undefined;
  readonly setpriv: string | undefined;
  /** The compiled system call filter; undefined without one. */
  readonly seccompFile: string | undefined;
  /** No control group limits processes, but slots have users of their own, whose processes can be. */
  readonly pidsByUser: boolean;
  /** How each limit will be set. */
  readonly limits: readonly string[];
}

/** Limits of a worker that may make no control groups. */
const NO_PIDS = 'pids=none';
const NO_CGROUP_LIMITS = ['memory=none', NO_PIDS, 'cpu=none'];

/** How this process was started. */
export interface LauncherStart {
  /** In a mount namespace of its own. */
  readonly ownMountNamespace: boolean;
  readonly userId: number | undefined;
}

/** Reads the agent's configuration and prepares this machine; FAILED_PRECONDITION says what it lacks for the level. */
export async function setUpLauncher(
  configuration: ConfigureLauncher,
  { ownMountNamespace, userId }: LauncherStart,
): Promise<LauncherSetup> {
  const { level, slots } = configuration;
  if (!isSandboxLevel(level)) throw failedPrecondition(`there is no sandbox level ${level}`);
  const programs = checkLevel(level, userId);
  const stage = ownMountNamespace
    ? Stage.show([configuration.workerFolder, ...configuration.mountSources])
    : Stage.none();
  const workerFolder = stage.resolve(configuration.workerFolder);
  const workFolder = workFolderOf(workerFolder);
  mkdirSync(workFolder, { recursive: true });
  // The users of slots pass through both and see neither.
  for (const folder of [workerFolder, workFolder]) chmodSync(folder, 0o711);
  for (const leftover of readdirSync(workFolder)) await removeTree(join(workFolder, leftover));

  // Without a filter for this processor, strict must fail, and basic is what it says to use.
  const filtered = level === 'strict' || (level === 'basic' && process.arch === 'x64');
  const owners = await claimOwners(level, slots);
  const cgroups = findCgroups(cgroupSources(), { cpuCeiling: configuration.cpuCeiling });
  cgroups?.tidy((name) => isGroupOf(owners, name) || isGroupOfDead(name));
  const byGroups = cgroups?.limits ?? NO_CGROUP_LIMITS;
  const pidsByUser = level === 'strict' && byGroups.includes(NO_PIDS);
  const groupLimits = byGroups.map((limit) => (limit === NO_PIDS && pidsByUser ? 'pids=rlimit' : limit));
  return {
    level,
    workerFolder,
    stage,
    configuration,
    owners,
    cgroups,
    ...programs,
    seccompFile: filtered ? writeFilter(workerFolder) : undefined,
    pidsByUser,
    limits: [...groupLimits, 'file size=rlimit', 'stdout and stderr=polling'],
  };
}

/**
 * Begins the names of a slot's control groups: with its user, who is alone on this machine, else with this process.
 * Each run has a group of its own, so that no counter is left from the one before.
 */
export function slotGroupPrefix(owner: Owner | undefined, slot: number): string {
  return owner === undefined ? `pid-${process.pid}-slot-${slot}-` : `user-${owner.userId}-`;
}

/** True for the control groups of these slots. */
export function isGroupOf(owners: LauncherSetup['owners'], name: string): boolean {
  return owners.some((owner, slot) => name.startsWith(slotGroupPrefix(owner, slot)));
}

/** True for those of a launcher that was killed and whose slots had no users of their own. */
function isGroupOfDead(name: string): boolean {
  const pid = /^pid-([0-9]+)-/.exec(name)?.[1];
  return pid !== undefined && !isRunning(Number(pid));
}

function checkLevel(
  level: SandboxLevel,
  userId: number | undefined,
): Pick<LauncherSetup, 'bwrap' | 'setpriv'> {
  if (level === 'none') return { bwrap: undefined, setpriv: undefined };
  const wayOut = level === 'strict' ? '--sandbox basic or --sandbox none' : '--sandbox none';
  const lacking = (what: string): never => {
    throw failedPrecondition(
      `the ${level} sandbox needs ${what}; with less protection the worker starts with ${wayOut}`,
    );
  };
  const bwrap = findProgram('bwrap') ?? lacking('the program bwrap (Debian package bubblewrap)');
  if (isSetuid(bwrap)) lacking(`a bwrap that is not setuid, and ${bwrap} is`);
  if (level === 'basic') return { bwrap, setpriv: undefined };
  if (userId !== 0) lacking(`root, and the worker runs as user ${userId}`);
  const setpriv = findProgram('setpriv') ?? lacking('the program setpriv (Debian package util-linux)');
  return { bwrap, setpriv };
}

async function claimOwners(level: SandboxLevel, slots: number): Promise<(Owner | undefined)[]> {
  if (level !== 'strict') return Array.from({ length: slots }, () => undefined);
  const { userIds } = await SlotUsers.claim(slots);
  return userIds.map((userId) => ({ userId, groupId: userId }));
}

function writeFilter(workerFolder: string): string {
  const path = join(workerFolder, 'seccomp.bpf');
  writeFileSync(path, seccompProgram(process.arch), { mode: 0o600 });
  return path;
}
