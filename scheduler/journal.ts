import type { OperationRecord } from '../proto/gen/ingot/v1/journal.ts';

/** The record of accepted operations: what is in it survives any restart. One writer. */
export interface Journal extends AsyncDisposable {
  /** Every record, in no order. A damaged one is skipped and logged. */
  load(): AsyncIterable<OperationRecord>;
  /** Writes and deletes together, durable when it resolves. Calls under way share one sync. */
  commit(puts: readonly OperationRecord[], deletedNames: readonly string[]): Promise<void>;
  close(): Promise<void>;
}
