import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import type { Contestant } from './contestant.ts';
import { LoadProgram, type RowFigures } from './load-program.ts';
import { compareRows, formatCostTable, formatRatioTable, type Pass } from './ratio-table.ts';
import { RunningServer } from './running-server.ts';

/** What the caller of a comparison chooses; see README.md for each. */
export interface CompareSettings {
  readonly rounds: string;
  readonly seconds: string;
  readonly 'warm-up': string;
  readonly connections: string;
  readonly 'in-flight': string;
  readonly 'chunk-bytes': string;
  readonly rows: string;
  readonly huge: boolean;
  readonly streams: boolean;
  readonly folder: string;
  readonly json?: string | undefined;
  readonly profile?: string | undefined;
}

/** The settings on the command line, with their defaults. */
export function compareSettings(): CompareSettings {
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
  return values;
}

/** Who is measured, and what is hoped for. */
export interface Comparison {
  /** The first is held against the best of the others. */
  readonly contestants: readonly Contestant[];
  readonly settings: CompareSettings;
  /** The least that the ratio of a row should be. */
  readonly aimOf: (row: RowFigures) => number | undefined;
}

/**
 * Measures each server in turn, alone and on an empty folder, in several rounds under one load, and prints medians as a
 * table; with `--json` everything goes to a file as well. Ctrl-C ends it, the servers and their folders.
 */
export async function compare({ contestants, settings, aimOf }: Comparison): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const names = contestants.map(({ name }) => name);
  const folder = await mkdtemp(join(settings.folder, 'ingot-bench-'));
  try {
    const passes = await measureAll({ contestants, settings, folder, signal: stop.signal });
    const rows = compareRows(passes, names, aimOf);
    console.log(formatRatioTable(rows, names, passes));
    console.log(`\n${formatCostTable(rows, names)}`);
    if (settings.json !== undefined) {
      const machine = { cpu: cpus()[0]?.model, cpus: availableParallelism(), node: process.version };
      await writeFile(
        settings.json,
        `${JSON.stringify({ machine, settings, rows, passes }, undefined, 2)}\n`,
      );
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.exitCode = 130;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Measurement {
  readonly contestants: readonly Contestant[];
  readonly settings: CompareSettings;
  /** For all that is made. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

async function measureAll(measurement: Measurement): Promise<readonly Pass[]> {
  const { contestants, settings, folder } = measurement;
  const load = await LoadProgram.build(folder);
  const passes: Pass[] = [];
  for (let round = 1; round <= Number(settings.rounds); round++) {
    // Each begins a round in turn, so that none is always the one after the same neighbour.
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(round + turn) % contestants.length];
      if (contestant === undefined) continue;
      console.error(`round ${round} of ${settings.rounds}: ${contestant.name}`);
      passes.push(await measureOne(contestant, round, load, measurement));
    }
  }
  return passes;
}

async function measureOne(
  contestant: Contestant,
  round: number,
  load: LoadProgram,
  { settings, folder, signal }: Measurement,
): Promise<Pass> {
  // What one server left unwritten must not slow the next.
  await promisify(execFile)('sync');
  await using server = await RunningServer.start(contestant, folder, signal);
  const rows = await load.measure(
    server.addresses,
    [...loadFlags(settings, round), '-server-pid', String(server.pid)],
    signal,
  );
  for (const { row, errors, firstError } of rows) {
    if (errors > 0) console.error(`${contestant.name}: ${row}: ${errors} errors, the first: ${firstError}`);
  }
  return { contestant: contestant.name, round, peakBytes: await server.peakBytes(), rows };
}

function loadFlags(settings: CompareSettings, seed: number): readonly string[] {
  const flags = ['rows', 'seconds', 'warm-up', 'connections', 'in-flight', 'chunk-bytes'] as const;
  return [
    ...flags.flatMap((flag) => [`-${flag}`, settings[flag]]),
    `-huge=${settings.huge}`,
    `-streams=${settings.streams}`,
    '-seed',
    String(seed),
  ];
}
