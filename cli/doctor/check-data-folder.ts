import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatBytes } from '../output/format-bytes.ts';
import type { Finding } from './finding.ts';

/** Below this a small build fills the disk. */
const FREE_BYTES_MIN = 1024 ** 3;
/** A CUDA toolchain, and a cache that is worth having. */
const FREE_BYTES_GOOD = 10 * 1024 ** 3;
const OTHERS_SEARCH = 0o001;

/** Whether the data folder's disk has room, and whether the users that actions run as can get to it. */
export async function checkDataFolder(folder: string, uid: number | undefined): Promise<Finding[]> {
  const existing = await nearestExisting(folder);
  const { bavail, bsize } = await statfs(existing);
  const findings = [diskFinding(folder, bavail * bsize)];
  if (uid === 0) {
    const closed = await closedAncestor(existing);
    if (closed !== undefined) {
      findings.push({
        check: 'data folder',
        status: 'missing',
        detail: `${folder} is below ${closed}, which the users that actions run as may not enter`,
        fix: `chmod o+x ${closed}, or choose another folder with --data`,
      });
    }
  }
  return findings;
}

function diskFinding(folder: string, freeBytes: number): Finding {
  const detail = `${formatBytes(freeBytes)} free for ${folder}`;
  if (freeBytes >= FREE_BYTES_GOOD) return { check: 'disk', status: 'ok', detail };
  const status = freeBytes < FREE_BYTES_MIN ? 'missing' : 'note';
  return {
    check: 'disk',
    status,
    detail: `${detail}, expected ${formatBytes(FREE_BYTES_GOOD)}`,
    fix: 'make room, or choose a folder on another disk with --data',
  };
}

async function nearestExisting(path: string): Promise<string> {
  const there = await stat(path).catch(() => undefined);
  return there !== undefined || dirname(path) === path ? path : nearestExisting(dirname(path));
}

async function closedAncestor(path: string): Promise<string | undefined> {
  const above = dirname(path) === path ? undefined : await closedAncestor(dirname(path));
  if (above !== undefined) return above;
  return ((await stat(path)).mode & OTHERS_SEARCH) === 0 ? path : undefined;
}
