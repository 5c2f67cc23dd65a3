import type { RowFigures } from './load-program.ts';

/** One pass over one server. */
export interface Pass {
  readonly contestant: string;
  readonly round: number;
  readonly peakBytes: number;
  readonly rows: readonly RowFigures[];
}

/** One row over all rounds: medians, and how the first contestant stands to the best of the others. */
export interface ComparedRow {
  readonly row: string;
  readonly unit: RowFigures['unit'];
  readonly rates: Readonly<Record<string, number>>;
  readonly p99Ms: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  /** Processor time; those of {@link RowFigures}. */
  readonly costs: Readonly<Record<string, Cost>>;
  /** Undefined without a rival that did it free of errors. */
  readonly ratio?: number;
  /** The least that the ratio should be. */
  readonly aim?: number | undefined;
}

type Cost = Pick<RowFigures, 'serverCpuUs' | 'clientCpuUs' | 'idleShare'>;

/** Compares by row; a contestant with an error in any round, or that was not asked for a row, has no rate in it. */
export function compareRows(
  passes: readonly Pass[],
  names: readonly string[],
  aimOf: (row: RowFigures) => number | undefined,
): readonly ComparedRow[] {
  const rows = new Map(passes.flatMap((pass) => pass.rows.map((figures) => [figures.row, figures])));
  return [...rows.values()].map((first) => {
    const { row, unit } = first;
    const rates: Record<string, number> = {};
    const p99Ms: Record<string, number> = {};
    const errors: Record<string, number> = {};
    const costs: Record<string, Cost> = {};
    for (const name of names) {
      const figures = passes
        .filter((pass) => pass.contestant === name)
        .flatMap((pass) => pass.rows.filter((other) => other.row === row));
      errors[name] = figures.reduce((sum, one) => sum + one.errors, 0);
      if (errors[name] > 0 || figures.length === 0) continue;
      rates[name] = median(figures.map((one) => one.rate));
      p99Ms[name] = median(figures.map((one) => one.p99Ms));
      costs[name] = {
        serverCpuUs: median(figures.map((one) => one.serverCpuUs)),
        clientCpuUs: median(figures.map((one) => one.clientCpuUs)),
        idleShare: median(figures.map((one) => one.idleShare)),
      };
    }
    const [own = '', ...rivals] = names;
    const best = Math.max(...rivals.map((name) => rates[name] ?? 0));
    const ratio = rates[own] === undefined || best <= 0 ? undefined : rates[own] / best;
    return { row, unit, rates, p99Ms, errors, costs, ratio, aim: aimOf(first) };
  });
}

/** The table a person reads; `<` marks a ratio that falls short of its aim. */
export function formatRatioTable(
  rows: readonly ComparedRow[],
  names: readonly string[],
  passes: readonly Pass[],
): string {
  const lines = [['', '', ...names, `${names[0]} / best`, 'aim', ...names.map((name) => `p99 ms ${name}`)]];
  for (const { row, unit, rates, p99Ms, errors, ratio, aim } of rows) {
    const figure = (name: string) => shown(rates[name]) ?? (errors[name] ? `${errors[name]} errors` : '-');
    const short = ratio !== undefined && aim !== undefined && ratio < aim;
    const compared = ratio === undefined ? '-' : `${short ? '< ' : ''}${ratio.toFixed(2)}`;
    const tails = names.map((name) => shown(p99Ms[name]) ?? '-');
    lines.push([row, unit, ...names.map(figure), compared, String(aim ?? ''), ...tails]);
  }
  const peaks = names.map((name) =>
    passes.filter((pass) => pass.contestant === name).map((pass) => pass.peakBytes),
  );
  lines.push(['peak memory', 'MB', ...peaks.map((bytes) => (Math.max(...bytes) / 1e6).toFixed(0))]);
  return aligned(lines);
}

/** What a call costs the processors, µs, server and client each, and what share of their time nobody used. */
export function formatCostTable(rows: readonly ComparedRow[], names: readonly string[]): string {
  const lines = [['cpu of a call', '', ...names.flatMap((name) => [`${name} µs`, 'client µs', 'idle %'])]];
  for (const { row, costs } of rows) {
    const cells = names.flatMap((name) => {
      const cost = costs[name];
      if (cost === undefined) return ['-', '-', '-'];
      return [shown(cost.serverCpuUs), shown(cost.clientCpuUs), (cost.idleShare * 100).toFixed(0)];
    });
    lines.push([row, '', ...cells.map((cell) => cell ?? '-')]);
  }
  return aligned(lines);
}

/** The lines as columns; the first two hold words, the others figures. */
export function aligned(lines: readonly (readonly string[])[]): string {
  const widths =
    lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const padded = (cell: string, column: number) =>
    column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return lines.map((line) => line.map(padded).join('  ').trimEnd()).join('\n');
}

function shown(value: number | undefined): string | undefined {
  return value === undefined || !Number.isFinite(value) ? undefined : value.toFixed(value < 100 ? 1 : 0);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}
