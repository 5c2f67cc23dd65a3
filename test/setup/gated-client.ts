import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { IngotProcess } from '../e2e/cli-process.ts';
import type { Cluster } from './cluster.ts';
import { type GatedRun, gatedRun, gatedScript } from './gated-run.ts';

/** An `ingot run` whose action waits at its gate, and which has shown the first line of its output. */
export interface GatedClient {
  readonly name: string;
  readonly client: IngotProcess;
  readonly run: GatedRun;
}

/** Starts one. Behind the gate, its action writes the id of its run to `NAME/out`. */
export async function startGatedClient(cluster: Cluster, name: string): Promise<GatedClient> {
  await mkdir(join(cluster.clientFolder, name));
  const command = ['sh', '-c', gatedScript(name, `mkdir -p ${name}; echo $id > ${name}/out`)];
  const client = cluster.client('run', '--output', `${name}/out`, '--', ...command);
  const run = await gatedRun(cluster, name);
  await client.line('run ');
  return { name, client, run };
}

/** Waits for the client's end, which must be a good one, with the result of the run of that id. */
export async function expectResult(
  cluster: Cluster,
  { name, client }: GatedClient,
  id: string,
): Promise<void> {
  const { code, stdout, stderr } = await client.ended;
  expect(code, stderr).toBe(0);
  // What an earlier run has shown stays on the screen.
  expect(stdout.trimEnd().split('\n').at(-1)).toBe(`run ${id}`);
  expect(await readFile(join(cluster.clientFolder, name, 'out'), 'utf8')).toBe(`${id}\n`);
}
