import { existsSync } from 'node:fs';
import { cp, readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Level } from 'level';
import { expect } from 'vitest';
import { missingFromResult } from '../../cache/actions/result-closure.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { isRunning, processFacts } from '../../worker/launcher/process-tree.ts';
import type { Cluster } from './cluster.ts';
import { entriesOf } from './gated-run.ts';
import { storedBlobs } from './stored-blobs.ts';
import { waitUntil } from './wait-until.ts';

const CGROUPS = '/sys/fs/cgroup';

/**
 * What must hold of a farm at rest with every part up, whatever was done to it: V1 every blob is what its name says, V2
 * every action result is complete, V3 no operation has two results, V4 nothing is left of actions: no process, lease
 * folder, control group or upload.
 */
export async function checkInvariants(cluster: Cluster): Promise<void> {
  await atRest(cluster);
  const blobs = await storedBlobs(join(cluster.folder, 'cache', 'cache'));
  await checkResults(cluster, new Map([...blobs].map(([hash, { sizeBytes }]) => [hash, sizeBytes])));
  checkCommits(cluster);
}

/** Waits until nothing is left of any action; the error says what is. */
export async function atRest(cluster: Cluster): Promise<void> {
  await waitUntil('the farm to be at rest', async () => {
    expect(await strayProcesses(cluster)).toEqual([]);
    expect(await leaseLeftovers(cluster)).toEqual([]);
    expect(await uploadsLeft(cluster)).toEqual([]);
    const { queued, executing } = await cluster.status();
    expect({ queued, executing }).toEqual({ queued: 0, executing: 0 });
    return true;
  });
}

/** Files of uploads of which the cache itself knows nothing; others may wait two minutes for their client to return. */
async function uploadsLeft(cluster: Cluster): Promise<string[]> {
  const files = await readdir(join(cluster.folder, 'cache', 'cache', 'incoming'));
  const status = await fetch(`http://${cluster.cache.endpoint('http')}/status`);
  const { uploads } = (await status.json()) as { uploads: number };
  return files.length > uploads ? files : [];
}

/** Of all the leases of an operation, over all its workers' lives, one result at most was accepted. */
function checkCommits({ workers }: Cluster): void {
  const accepted = workers
    .flatMap(({ records }) => records)
    .filter(
      ({ message, outcome, answer }) =>
        message === 'lease ended' && outcome === 'response' && answer === 'ACCEPTED',
    )
    .map(({ operation }) => String(operation));
  expect(accepted, 'operations by their accepted results').toEqual([...new Set(accepted)]);
}

/** Processes of the farm that are neither a part of it nor the launcher of a worker. */
export async function strayProcesses(cluster: Cluster): Promise<string[]> {
  const parts = [cluster.cache, cluster.scheduler, ...cluster.workers].filter(({ isRunning }) => isRunning);
  const partPids = new Set(parts.map(({ pid }) => pid));
  const strays: string[] = [];
  for (const [pid, commandLine] of await processesOf(cluster.folder)) {
    const isLauncher =
      partPids.has(processFacts(pid)?.parentPid ?? 0) && commandLine.includes('worker/launcher/main.ts');
    if (!partPids.has(pid) && !isLauncher) strays.push(`${pid} ${commandLine.slice(0, 200)}`);
  }
  return strays;
}

/** Running processes that have to do with a folder: by their command line, environment or mounts. */
export async function processesOf(folder: string): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (const name of await readdir('/proc')) {
    if (!/^[0-9]+$/.test(name) || Number(name) === process.pid) continue;
    const read = (file: string): Promise<string> =>
      // It has ended, or is a process of the kernel.
      readFile(join('/proc', name, file), 'utf8').catch(() => '');
    const texts = await Promise.all([read('cmdline'), read('environ'), read('mountinfo')]);
    if (!texts.some((text) => text.includes(basename(folder))) || !isRunning(Number(name))) continue;
    found.set(Number(name), texts[0].replaceAll('\0', ' '));
  }
  return found;
}

/** Folders and control groups of leases, of the workers that run. */
async function leaseLeftovers(cluster: Cluster): Promise<string[]> {
  const left: string[] = [];
  for (const [index, worker] of cluster.workers.entries()) {
    if (!worker.isRunning) continue;
    const workFolder = join(cluster.folder, `worker-${index + 1}`, 'worker', 'work');
    for (const lease of await entriesOf(workFolder)) left.push(join(workFolder, lease));
    const [ready] = worker.records.filter(({ message }) => message === 'sandbox is ready').slice(-1);
    const userIds = ready?.slotUids;
    if (!Array.isArray(userIds))
      throw new Error(`worker ${index} did not say which users it runs actions as`);
    for (const userId of userIds) left.push(...(await controlGroupsOf(userId)));
  }
  return left;
}

/** Groups of whatever ran as a user of a slot. */
async function controlGroupsOf(userId: number): Promise<string[]> {
  const groups: string[] = [];
  for (const controller of ['', ...(await readdir(CGROUPS))]) {
    const folder = join(CGROUPS, controller, 'ingot');
    if (!existsSync(folder)) continue;
    const names = (await readdir(folder)).filter((name) => name.split('-')[1] === String(userId));
    groups.push(...names.map((name) => join(folder, name)));
  }
  return groups;
}

/** Every result there is a record of must be found, and found complete. */
async function checkResults(cluster: Cluster, blobSizes: ReadonlyMap<string, number>): Promise<void> {
  await using farm = cluster.connect();
  for (const { instanceName, hash } of await actionKeys(cluster)) {
    // The key has no size: the action itself has it.
    expect([...blobSizes.keys()], 'actions with a result').toContain(hash);
    const result = await farm.actionCache.getActionResult({
      instanceName,
      actionDigest: { hash, sizeBytes: blobSizes.get(hash) ?? 0 },
      inlineStdout: false,
      inlineStderr: false,
      inlineOutputFiles: [],
      digestFunction: DigestFunction_Value.SHA256,
    });
    const options = { store: farm.blobStore, digestFunction: DigestFunction_Value.SHA256 };
    expect(await missingFromResult(result, options), `blobs of the result of ${hash}`).toEqual([]);
    expect(result.exitCode).toBe(0);
  }
}

/** The records of the action cache, from a copy, since the cache has its own open. */
async function actionKeys({ folder }: Cluster): Promise<{ instanceName: string; hash: string }[]> {
  const copy = join(folder, 'ac-copy');
  await cp(join(folder, 'cache', 'cache', 'ac-v1'), copy, { recursive: true });
  const level = new Level<string, Buffer>(copy, { keyEncoding: 'utf8', valueEncoding: 'buffer' });
  try {
    const keys: { instanceName: string; hash: string }[] = [];
    for await (const key of level.keys()) {
      const [kind, instanceName = '', name = ''] = key.split('\0');
      if (kind === 'action') keys.push({ instanceName, hash: name.slice(name.indexOf('-') + 1) });
    }
    return keys;
  } finally {
    await level.close();
    await rm(copy, { recursive: true });
  }
}
