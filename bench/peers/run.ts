import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { BazelRemoteContestant } from './bazel-remote-contestant.ts';
import { BbStorageContestant } from './bb-storage-contestant.ts';
import type { Contestant } from './contestant.ts';
import { IngotContestant } from './ingot-contestant.ts';
import { LoadProgram } from './load-program.ts';
import { compareRows, formatRatioTable, type Pass } from './ratio-table.ts';
import { RunningServer } from './running-server.ts';

/**
 * Question: how many times the best rival is ingot, under one load that is written in neither's code? Each round
 * measures every server in turn, alone and on an empty folder; what counts is the median of the rounds. See README.md.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    'warm-up': { type: 'string', default: '1' },
    connections: { type: 'string', default: '16' },
    'in-flight': { type: 'string', default: '64' },
    'chunk-bytes': { type: 'string', default: '65536' },
    rows: { type: 'string', default: '' },
    huge: { type: 'boolean', default: false },
    streams: { type: 'boolean', default: false },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
});

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

const environment = process.env;
const contestants: Contestant[] = [
  new IngotContestant({ profileFolder: values.profile && resolve(values.profile) }),
];
if (environment.BAZEL_REMOTE) contestants.push(new BazelRemoteContestant(environment.BAZEL_REMOTE));
if (environment.BB_STORAGE) contestants.push(new BbStorageContestant(environment.BB_STORAGE));
const names = contestants.map(({ name }) => name);

const loadFlags = (seed: number): readonly string[] => [
  ...(['rows', 'seconds', 'warm-up', 'connections', 'in-flight', 'chunk-bytes'] as const).flatMap((flag) => [
    `-${flag}`,
    values[flag],
  ]),
  `-huge=${values.huge}`,
  `-streams=${values.streams}`,
  '-seed',
  String(seed),
];

/** What one server left unwritten must not slow the next. */
const flushDisk = (): Promise<unknown> => promisify(execFile)('sync');

async function measureOne(
  contestant: Contestant,
  round: number,
  load: LoadProgram,
  folder: string,
): Promise<Pass> {
  await flushDisk();
  await using server = await RunningServer.start(contestant, folder, stop.signal);
  const rows = await load.measure({ grpc: server.address.grpc }, loadFlags(round), stop.signal);
  for (const { row, errors, firstError } of rows) {
    if (errors > 0) console.error(`${contestant.name}: ${row}: ${errors} errors, the first: ${firstError}`);
  }
  return { contestant: contestant.name, round, peakBytes: await server.peakBytes(), rows };
}

async function measureAll(folder: string): Promise<readonly Pass[]> {
  const load = await LoadProgram.build(folder);
  const passes: Pass[] = [];
  for (let round = 1; round <= Number(values.rounds); round++) {
    // Each begins a round in turn, so that none is always the one after the same neighbour.
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(round + turn) % contestants.length];
      if (contestant === undefined) continue;
      console.error(`round ${round} of ${values.rounds}: ${contestant.name}`);
      passes.push(await measureOne(contestant, round, load, folder));
    }
  }
  return passes;
}

const folder = await mkdtemp(join(values.folder, 'ingot-peers-'));
try {
  const passes = await measureAll(folder);
  const rows = compareRows(passes, names);
  console.log(formatRatioTable(rows, names, passes));
  if (values.json !== undefined) {
    const machine = { cpu: cpus()[0]?.model, cpus: availableParallelism(), node: process.version };
    await writeFile(
      values.json,
      `${JSON.stringify({ machine, settings: values, rows, passes }, undefined, 2)}\n`,
    );
  }
} catch (error) {
  if (!stop.signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  await rm(folder, { recursive: true, force: true });
}
