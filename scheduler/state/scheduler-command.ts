import type { IngotError } from '../../core/error.ts';
import type { CancelLease, Commit, CommitReply, Offer } from '../../proto/gen/ingot/v1/bus.ts';
import type { OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';
import type { OperationView } from './operation-view.ts';

/**
 * What the scheduler shall do. Commands are carried out in order, and none before the records of its step are
 * durable; so no one hears of anything that a restart could undo.
 */
export type SchedulerCommand =
  /** Ask the worker; the outcome comes back as `offerReply`. */
  | { readonly kind: 'offer'; readonly offer: Offer }
  /** Tell the worker; nothing depends on the reply. */
  | { readonly kind: 'cancelLease'; readonly workerId: string; readonly cancel: CancelLease }
  /** Answer an `execute` or `attach`. */
  | { readonly kind: 'answer'; readonly token: string; readonly view: OperationView }
  | { readonly kind: 'refuse'; readonly token: string; readonly error: IngotError }
  /** Show the clients that wait for the operation how it stands. */
  | { readonly kind: 'notify'; readonly view: OperationView }
  /** Check a result and file it; the outcome comes back as `commitPrepared` or `commitFailed`. */
  | { readonly kind: 'prepareCommit'; readonly record: OperationRecord; readonly commit: Commit }
  /** Answer a `commit`; an error makes the worker send it again. */
  | { readonly kind: 'replyCommit'; readonly token: string; readonly reply: CommitReply | IngotError }
  /** Write a line about a decision. */
  | {
      readonly kind: 'log';
      readonly level: 'info' | 'warn';
      readonly fields: Readonly<Record<string, unknown>>;
      readonly message: string;
    };
