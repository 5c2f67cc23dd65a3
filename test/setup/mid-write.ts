import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Cluster, RolePart } from './cluster.ts';
import { entriesOf } from './gated-run.ts';
import { waitUntil } from './wait-until.ts';

/** Little of the blobs this is meant for, and more than goes into one message. */
const UNDER_WAY_BYTES = 1024 * 1024;
const POLL_MS = 2;

/** Waits until a large blob is on its way into the cache, and stops a part in the midst of it. */
export function midUpload({ folder }: Cluster, part: RolePart): Promise<void> {
  return midWrite([join(folder, 'cache', 'cache', 'incoming')], part);
}

/** Waits until a large blob is on its way to a worker, and stops a part in the midst of it. */
export function midFetch({ folder, workers }: Cluster, part: RolePart): Promise<void> {
  const folders = workers.map((_, index) =>
    join(folder, `worker-${index + 1}`, 'worker', 'blobs', 'incoming'),
  );
  return midWrite(folders, part);
}

async function midWrite(folders: readonly string[], part: RolePart): Promise<void> {
  const underWay = async () => (await largestFile(folders)) >= UNDER_WAY_BYTES;
  await waitUntil('a blob under way', underWay, { pollMs: POLL_MS });
  part.signal('SIGSTOP');
  // A complete one is moved away from there.
  expect(await underWay(), 'the blob is still under way').toBe(true);
}

async function largestFile(folders: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const folder of folders) {
    for (const name of await entriesOf(folder)) {
      // It may be gone by now.
      const stats = await stat(join(folder, name)).catch(() => undefined);
      bytes = Math.max(bytes, stats?.size ?? 0);
    }
  }
  return bytes;
}
