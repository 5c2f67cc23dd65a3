import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition, unavailable } from './error.ts';

/** How often a lock that vanishes or changes while we look at it is looked at again. */
const ATTEMPTS_MAX = 5;

/** What a lock file says of the process that made it. */
interface Holder {
  readonly pid: number;
  /** From the kernel, so that a later process with the same pid is not taken for it; empty where unknown. */
  readonly startTime: string;
  readonly bootId: string;
  /** Tells two locks of one process apart. */
  readonly nonce: string;
}

/**
 * Holds a folder for one process, by a file named `lock` in it. One left by a process that has died, by kill -9 or
 * by power loss, is taken over. Processes that do not see each other's pids (containers sharing a volume) are not
 * kept apart.
 */
export class FolderLock implements AsyncDisposable {
  readonly #path: string;
  readonly #text: string;

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
  }

  /** Takes the folder, which must exist; FAILED_PRECONDITION naming the pid when another process has it. */
  static async acquire(folder: string): Promise<FolderLock> {
    const path = join(folder, 'lock');
    const nonce = randomUUID();
    const text = `${JSON.stringify({ ...(await thisProcess()), nonce } satisfies Holder)}\n`;
    const draft = join(folder, `lock.${nonce}`);
    await writeFile(draft, text, { flag: 'wx' });
    try {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
        if (await linked(draft, path)) return new FolderLock(path, text);
        await removeStale(folder, path);
      }
    } finally {
      await rm(draft, { force: true });
    }
    throw unavailable(`Lock ${folder}: the lock file changed ${ATTEMPTS_MAX} times while it was looked at`);
  }

  /** Gives the folder back. */
  async close(): Promise<void> {
    if ((await textOf(this.#path)) === this.#text) await rm(this.#path, { force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function removeStale(folder: string, path: string): Promise<void> {
  const text = await textOf(path);
  if (text === undefined) return;
  const holder = parse(text);
  if (holder !== undefined && (await isAlive(holder))) {
    throw failedPrecondition(
      `${folder} is in use by process ${holder.pid}: stop it, or choose another folder (lock file ${path})`,
    );
  }
  // Moved aside rather than removed: if another process took over in between, it is that one's lock we hold now.
  const aside = `${path}.stale.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  if ((await textOf(aside)) !== text) await linked(aside, path);
  await rm(aside, { force: true });
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function isAlive({ pid, startTime, bootId }: Holder): Promise<boolean> {
  if (bootId !== '' && bootId !== (await thisBoot())) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there and belongs to someone else.
    if (codeOf(error) !== 'EPERM') return false;
  }
  const seen = await kernelFactsOf(pid);
  // A zombie has let go of everything but its pid.
  return startTime === '' || (startTime === seen.startTime && seen.state !== 'Z');
}

async function thisProcess(): Promise<Omit<Holder, 'nonce'>> {
  const { startTime } = await kernelFactsOf(process.pid);
  return { pid: process.pid, startTime, bootId: await thisBoot() };
}

/** Fields 3 and 22 of /proc/PID/stat, behind the program's name, which may hold anything; empty where unknown. */
async function kernelFactsOf(pid: number): Promise<{ readonly state: string; readonly startTime: string }> {
  const stat = (await textOf(`/proc/${pid}/stat`)) ?? '';
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
}

async function thisBoot(): Promise<string> {
  return ((await textOf('/proc/sys/kernel/random/boot_id')) ?? '').trim();
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}

/** Undefined for what no living process has written: an empty or torn file left by a power loss. */
function parse(text: string): Holder | undefined {
  try {
    const { pid, startTime, bootId, nonce } = JSON.parse(text);
    if (!Number.isSafeInteger(pid) || pid < 1) return undefined;
    return { pid, startTime: String(startTime), bootId: String(bootId), nonce: String(nonce) };
  } catch {
    // Not JSON: the same as above.
    return undefined;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
