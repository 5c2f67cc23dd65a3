import { randomInt, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { delay } from './abort.ts';
import { failedPrecondition } from './error.ts';

/** How often processes that start at the same moment get out of each other's way before they give up. */
const ATTEMPTS_MAX = 20;
const BACKOFF_MS_MAX = 50;

/** Stands for what this system does not tell. */
const UNKNOWN = '0';
const HELD = 'held\n';
const CLAIM = /^([0-9]+)\.([0-9]+)\.([0-9a-f-]+)\.[0-9a-f-]{36}$/;

/** A file in the folder's `lock` folder, whose name says whose it is, so that it is never there without that. */
interface Claim {
  readonly path: string;
  readonly pid: number;
  /** From the kernel, so that a later process with the same pid is not taken for it. */
  readonly startTime: string;
  readonly bootId: string;
}

/**
 * Holds a folder for one process. Each contender first makes a claim, a file of its own, and then looks for others';
 * whoever finds a living one withdraws, so two never hold it. Claims of processes that have died, by kill -9 or by
 * power loss, are removed. Processes that do not see each other's pids (containers sharing a volume) are not kept
 * apart.
 */
export class FolderLock implements AsyncDisposable {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Takes the folder, which must exist; FAILED_PRECONDITION naming the pid when another process has it. */
  static async acquire(folder: string): Promise<FolderLock> {
    const claims = join(folder, 'lock');
    await mkdir(claims, { recursive: true });
    const path = join(claims, await claimName());
    let other: Claim | undefined;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      await writeFile(path, '', { flag: 'wx' });
      other = await livingClaim(claims, path);
      if (other === undefined) {
        await writeFile(path, HELD);
        return new FolderLock(path);
      }
      await rm(path);
      if ((await textOf(other.path)) === HELD) break;
      // It has only just made its claim, and withdraws as we do if it has seen ours.
      await delay(randomInt(BACKOFF_MS_MAX));
    }
    throw failedPrecondition(
      `${folder} is in use by process ${other?.pid}: stop it, or choose another folder (lock file ${claims})`,
    );
  }

  /** Gives the folder back. */
  async close(): Promise<void> {
    await rm(this.#path, { force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function claimName(): Promise<string> {
  const { startTime } = await kernelFactsOf(process.pid);
  return `${process.pid}.${startTime}.${await thisBoot()}.${randomUUID()}`;
}

/** A claim of a living process other than ours; those of the dead are removed. Prefers one that holds. */
async function livingClaim(claims: string, ownPath: string): Promise<Claim | undefined> {
  const living: Claim[] = [];
  for (const name of await readdir(claims)) {
    const [, pid, startTime = '', bootId = ''] = CLAIM.exec(name) ?? [];
    const path = join(claims, name);
    if (pid === undefined || path === ownPath) continue;
    const claim = { path, pid: Number(pid), startTime, bootId };
    if (await isAlive(claim)) living.push(claim);
    else await rm(path, { force: true });
  }
  for (const claim of living) {
    if ((await textOf(claim.path)) === HELD) return claim;
  }
  return living[0];
}

async function isAlive({ pid, startTime, bootId }: Claim): Promise<boolean> {
  if (bootId !== (await thisBoot())) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there and belongs to someone else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const seen = await kernelFactsOf(pid);
  // A zombie has let go of everything but its pid.
  return startTime === seen.startTime && seen.state !== 'Z';
}

/** Fields 3 and 22 of /proc/PID/stat, behind the program's name, which may hold anything. */
async function kernelFactsOf(pid: number): Promise<{ readonly state: string; readonly startTime: string }> {
  const stat = (await textOf(`/proc/${pid}/stat`)) ?? '';
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: fields[19] ?? UNKNOWN };
}

async function thisBoot(): Promise<string> {
  return ((await textOf('/proc/sys/kernel/random/boot_id')) ?? UNKNOWN).trim();
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}
