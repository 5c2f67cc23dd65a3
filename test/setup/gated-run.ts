import { constants } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { waitUntil } from './wait-until.ts';

/** Makes `out` with the id of the run. */
const MAKE_OUT = 'echo $id > out';

/**
 * A shell script that prints `run ID` with an id of its own at each run, waits at a gate until the test lets it
 * through, and does the rest. `name` tells it from other actions, and makes it another action.
 */
export function gatedScript(name: string, rest = MAKE_OUT): string {
  return [
    'id=$(cat /proc/sys/kernel/random/uuid)',
    'echo "run $id"',
    'mkfifo gate',
    `echo $id > .started && mv .started started-${name}`,
    'read go < gate',
    rest,
  ].join('\n');
}

/** A script that does at once what {@link gatedScript} does behind its gate. */
export function plainScript(name: string): string {
  return [': ', name, '\nid=$(cat /proc/sys/kernel/random/uuid)\necho "run $id"\n', MAKE_OUT].join('');
}

/** One run of a gated action, seen from outside of its sandbox. */
export interface GatedRun {
  readonly id: string;
  /** Of the worker, from 0. */
  readonly workerIndex: number;
  /** Its input root on the host. */
  readonly root: string;
  /** Lets it go on. */
  release(): Promise<void>;
}

/** Waits until the action runs, in a run whose id is none of those. */
export function gatedRun(cluster: Cluster, name: string, ...knownIds: readonly string[]): Promise<GatedRun> {
  return waitUntil(`${name} to run`, async () => {
    const runs = await gatedRuns(cluster, name);
    return runs.find(({ id }) => !knownIds.includes(id));
  });
}

/** The runs of an action that stand at their gates or are past them, and not cleaned up. */
export async function gatedRuns(cluster: Cluster, name: string): Promise<GatedRun[]> {
  const runs: GatedRun[] = [];
  for (const workerIndex of cluster.workers.keys()) {
    const workFolder = join(cluster.folder, `worker-${workerIndex + 1}`, 'worker', 'work');
    for (const lease of await entriesOf(workFolder)) {
      const root = join(workFolder, lease, 'root');
      const id = await textOf(join(root, `started-${name}`));
      if (id !== undefined) runs.push({ id, workerIndex, root, release: () => release(root) });
    }
  }
  return runs;
}

async function release(root: string): Promise<void> {
  const gate = await waitUntil(`somebody to wait at ${root}/gate`, () =>
    // Fails with ENXIO while nobody reads.
    open(join(root, 'gate'), constants.O_WRONLY | constants.O_NONBLOCK),
  );
  await gate.write('go\n');
  await gate.close();
}

/** Names in a folder; none when there is no such folder. */
export async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch {
    // It has not begun, or is being removed.
    return undefined;
  }
}
