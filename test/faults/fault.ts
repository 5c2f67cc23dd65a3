import { type TestContext, test } from 'vitest';

/** One cell of the fault bar: what was done, and what was seen. The reporter prints it, green or red. */
export interface FaultRecord {
  /** `R01` to `R38`. */
  readonly id: string;
  readonly saw: string[];
}

declare module 'vitest' {
  interface TaskMeta {
    fault?: FaultRecord;
  }
}

/** Notes a fact for the report: figures, statuses, counts. A fault that notes nothing fails. */
export type Saw = (what: string) => void;

/** A fault is over within a minute, or something hangs. */
const FAULT_MS = 60_000;

/** Settings of one fault that differ from the usual. */
export interface FaultOptions {
  readonly timeoutMs?: number;
  /** It mostly waits, and may do so beside others of its file. */
  readonly concurrent?: boolean;
  /** Why it cannot be provoked on this machine; it is then skipped, and says so. */
  readonly skip?: string | undefined;
}

/**
 * A row of the fault bar as a test: provoke what `title` says, check what must be seen, and say with `saw` what was.
 * `npm run faults` prints all rows as one table.
 */
export function fault(
  id: `R${number}${number}`,
  title: string,
  run: (saw: Saw, context: TestContext) => Promise<void>,
  { timeoutMs = FAULT_MS, concurrent = false, skip }: FaultOptions = {},
): void {
  test(`${id} ${title}`, { timeout: timeoutMs, concurrent }, async (context) => {
    const record: FaultRecord = { id, saw: [] };
    context.task.meta.fault = record;
    if (skip !== undefined) {
      record.saw.push(`skipped: ${skip}`);
      context.skip(skip);
    }
    await run((what) => record.saw.push(what), context);
    if (record.saw.length === 0) throw new Error(`${id} ${title}: it passed and has nothing to say`);
  });
}
