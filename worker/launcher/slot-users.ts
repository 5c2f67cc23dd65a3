import { createServer, type Server } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { unavailable } from '../../core/error.ts';
import { isRunning, type ProcessFacts, processesByUser, signalProcess } from './process-tree.ts';

/** First of the real user ids that actions run as. */
const FIRST_USER_ID = 61_000;
/** Debian leaves 60000 and up to the administrator; from 61184 on systemd gives ids to services of its own. */
const LAST_USER_ID = 61_183;
/** The kernel ends a killed process within milliseconds, unless it is stuck there. */
const DEATH_MS = 500;
const REAPER_PID = 1;

/**
 * The user ids of this worker's slots. No two slots of a machine share one, in whatever process they are: each is
 * held by an abstract socket of its number, which the kernel frees when the process dies.
 */
export class SlotUsers {
  readonly userIds: readonly number[];
  readonly #holds: readonly Server[];

  private constructor(held: readonly { readonly userId: number; readonly hold: Server }[]) {
    this.userIds = held.map(({ userId }) => userId);
    this.#holds = held.map(({ hold }) => hold);
  }

  /** UNAVAILABLE when the machine has no free ids left. */
  static async claim(slots: number): Promise<SlotUsers> {
    const held: { userId: number; hold: Server }[] = [];
    const leftovers = processesByUser();
    for (let userId = FIRST_USER_ID; userId <= LAST_USER_ID && held.length < slots; userId += 1) {
      const hold = await holdName(`\0ingot-slot-user-${userId}`);
      if (hold === undefined) continue;
      if (await endOrphans(leftovers.get(userId) ?? [])) held.push({ userId, hold });
      else hold.close();
    }
    const users = new SlotUsers(held);
    if (held.length === slots) return users;
    users.close();
    throw unavailable(
      `claim ${slots} user ids for slots: only ${held.length} of ${FIRST_USER_ID} to ${LAST_USER_ID} are free on this machine`,
    );
  }

  close(): void {
    for (const hold of this.#holds) hold.close();
  }
}

/**
 * Ends what a dead launcher has left of a slot: bwrap that was only just starting does not notice. False when a process
 * has a parent yet, such as the launcher of a container that we do not see, or is stuck in the kernel.
 */
async function endOrphans(processes: readonly ProcessFacts[]): Promise<boolean> {
  const pids = new Set(processes.map(({ pid }) => pid));
  if (processes.some(({ parentPid }) => parentPid !== REAPER_PID && !pids.has(parentPid))) return false;
  for (const pid of pids) signalProcess(pid, 'SIGKILL');
  const deadlineMs = performance.now() + DEATH_MS;
  while ([...pids].some(isRunning)) {
    if (performance.now() > deadlineMs) return false;
    await pause(1);
  }
  return true;
}

function holdName(name: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => {
      server.unref();
      resolve(server);
    });
  });
}
