import { formatDuration } from '../output/format-duration.ts';
import { formatTable } from '../output/format-table.ts';
import type { DemoProgress } from './demo-round.ts';

/** A round as a table: action, stage, worker, time. */
export function demoTable(actions: readonly DemoProgress[], nowMs: number): string[] {
  const rows = actions.map(({ action, stage, worker, startedMs, endedMs }) => [
    action.label,
    stage,
    worker,
    stage === 'waiting' ? '' : formatDuration((endedMs ?? nowMs) - startedMs),
  ]);
  return formatTable(['ACTION', 'STAGE', 'WORKER', 'TIME'], rows).map((line) => `  ${line}`);
}
