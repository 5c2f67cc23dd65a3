import { readdirSync, readFileSync, statSync } from 'node:fs';

/** What the kernel says of a process. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parentPid: number;
  /** `Z` when it is dead and waits to be noticed. */
  readonly state: string;
}

/** The process of this pid; undefined when there is none. */
export function processFacts(pid: number): ProcessFacts | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    // ENOENT or ESRCH: it is gone, which is the answer.
    return undefined;
  }
  // The name before it is in brackets and may hold anything.
  const [state = '', parentPid = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pid, parentPid: Number(parentPid), state };
}

/** True while the process runs; false once it is gone, or dead and not yet noticed by its parent. */
export function isRunning(pid: number): boolean {
  const facts = processFacts(pid);
  return facts !== undefined && !isDead(facts);
}

function isDead({ state }: ProcessFacts): boolean {
  return state === 'Z' || state === 'X';
}

/** Every process below this one, children before their own children. */
export function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue;
    const facts = processFacts(Number(name));
    if (facts === undefined) continue;
    const siblings = children.get(facts.parentPid);
    if (siblings === undefined) children.set(facts.parentPid, [facts.pid]);
    else siblings.push(facts.pid);
  }
  const found: number[] = [];
  let level = children.get(pid) ?? [];
  while (level.length > 0) {
    found.push(...level);
    level = level.flatMap((parent) => children.get(parent) ?? []);
  }
  return found;
}

/** The running processes of each real user. */
export function processesByUser(): Map<number, ProcessFacts[]> {
  const users = new Map<number, ProcessFacts[]>();
  for (const name of readdirSync('/proc')) {
    const stats = /^[0-9]+$/.test(name) ? statSync(`/proc/${name}`, { throwIfNoEntry: false }) : undefined;
    const facts = stats === undefined ? undefined : processFacts(Number(name));
    if (stats === undefined || facts === undefined || isDead(facts)) continue;
    users.set(stats.uid, [...(users.get(stats.uid) ?? []), facts]);
  }
  return users;
}

/** Sends a signal; a process that is gone is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
