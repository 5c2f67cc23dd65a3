/** Short enough that label, bar and note fit into 80 columns. */
const BAR_CELLS = 16;

/** One line that says how far a piece of work is: a bar where the total is known, the note behind it. */
export function progressLine(label: string, done: number, total?: number, note?: string): string {
  const tail = note === undefined || note === '' ? '' : `  ${note}`;
  if (total === undefined || total <= 0) return `${label}${tail || ` ${done}`}`;
  const share = Math.min(1, Math.max(0, done / total));
  const cells = Math.round(share * BAR_CELLS);
  const bar = '#'.repeat(cells).padEnd(BAR_CELLS, '.');
  return `${label} [${bar}] ${String(Math.floor(share * 100)).padStart(3)} %${tail}`;
}
