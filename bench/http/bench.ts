import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { WireClient } from './wire-client.ts';

/**
 * Question: how near does a GET of /cas come to a plain node:http server of files? Each round measures both in turn,
 * in processes of their own, the client in this one; what counts is the median. Prints a table, or JSON with --json.
 */
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '1' },
  },
});
const SIZES = [1024, 16 * 1024, 1024 * 1024, 64 * 1024 * 1024];
const SERVERS = ['ingot', 'files'] as const;
const CONNECTIONS = 16;
const MEASURE_MS = Number(values.seconds) * 1000;

interface Row {
  readonly sizeBytes: number;
  readonly perSecond: number;
  readonly cpuUs: number;
}

async function cpuUs(child: ChildProcess): Promise<number> {
  child.send('cpu');
  const [answer] = await once(child, 'message');
  return answer.cpuUs;
}

async function getFor(clients: readonly WireClient[], path: string, ms: number): Promise<number> {
  const endMs = performance.now() + ms;
  let answers = 0;
  const oneByOne = async (client: WireClient): Promise<void> => {
    for (; performance.now() < endMs; answers++) await client.get(path);
  };
  await Promise.all(clients.map(oneByOne));
  return answers;
}

async function measure(which: string, folder: string): Promise<Row[]> {
  const child = fork(join(import.meta.dirname, 'server.ts'), [
    which,
    join(folder, which),
    ...SIZES.map(String),
  ]);
  const [{ port, paths }] = await once(child, 'message');
  const clients = Array.from({ length: CONNECTIONS }, () => new WireClient(port));
  await Promise.all(clients.map((client) => client.connected()));
  const rows: Row[] = [];
  for (const [index, sizeBytes] of SIZES.entries()) {
    const used = sizeBytes > 1024 * 1024 ? clients.slice(0, 4) : clients;
    await getFor(used, paths[index], MEASURE_MS / 2);
    const cpuBefore = await cpuUs(child);
    const startMs = performance.now();
    const answers = await getFor(used, paths[index], MEASURE_MS);
    const seconds = (performance.now() - startMs) / 1000;
    rows.push({
      sizeBytes,
      perSecond: answers / seconds,
      cpuUs: ((await cpuUs(child)) - cpuBefore) / answers,
    });
  }
  for (const client of clients) client.close();
  child.kill();
  await once(child, 'exit');
  return rows;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

const folder = await mkdtemp(join(tmpdir(), 'ingot-bench-'));
const seen = new Map<string, Row[]>();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const which of SERVERS) {
    for (const row of await measure(which, folder)) {
      const key = `${which} ${row.sizeBytes}`;
      seen.set(key, [...(seen.get(key) ?? []), row]);
    }
  }
}
await rm(folder, { recursive: true });
const table = SIZES.flatMap((sizeBytes) =>
  SERVERS.map((server) => {
    const rows = seen.get(`${server} ${sizeBytes}`) ?? [];
    const perSecond = median(rows.map((row) => row.perSecond));
    return {
      server,
      sizeBytes,
      perSecond: Math.round(perSecond),
      mbPerSecond: Math.round((perSecond * sizeBytes) / 1e6),
      cpuUs: Math.round(median(rows.map((row) => row.cpuUs))),
    };
  }),
);
if (values.json) console.log(JSON.stringify(table));
else console.table(table);
