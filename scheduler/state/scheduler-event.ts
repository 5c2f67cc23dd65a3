import type {
  DigestFunction_Value,
  Digest as DigestMessage,
  ExecuteResponse,
  Platform_Property,
  RequestMetadata,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Duration } from '../../proto/gen/google/protobuf/duration.ts';
import type {
  Commit,
  OfferReply,
  Progress,
  Resources,
  WorkerHeartbeat,
} from '../../proto/gen/ingot/v1/bus.ts';
import type { OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';

/** An action that was found fit to run and has no cached result. */
export interface Submission {
  /** Name for the operation, if it becomes one of its own. */
  readonly name: string;
  readonly instanceName: string;
  readonly digestFunction: DigestFunction_Value;
  readonly actionDigest: DigestMessage;
  readonly doNotCache: boolean;
  readonly skipCacheLookup: boolean;
  readonly priority: number;
  readonly properties: Platform_Property[];
  readonly request: Resources;
  readonly timeout: Duration | undefined;
  readonly requestMetadata: RequestMetadata | undefined;
  /** When the action cache was asked; a run that finished since then answers too. */
  readonly lookedUpAtMs: number;
}

/**
 * What can happen to the scheduler. A `token` names a caller whom a later command answers; each is used once.
 * Events that come from the bus may be late, repeated, or about things that are long over.
 */
export type SchedulerEvent =
  /** First, once: what the journal holds. */
  | { readonly kind: 'restore'; readonly records: readonly OperationRecord[] }
  /** A client wants an action run; it waits from now on. */
  | { readonly kind: 'execute'; readonly token: string; readonly submission: Submission }
  /** A client waits for an operation it knows by name; or, with a priority, joins it in place of an execute of its own. */
  | {
      readonly kind: 'attach';
      readonly token: string;
      readonly name: string;
      readonly joinPriority?: number | undefined;
    }
  /** A client that waited has gone, or has its answer. */
  | { readonly kind: 'detach'; readonly name: string }
  /** A client has no more use for a finished operation. */
  | { readonly kind: 'forget'; readonly name: string }
  /** A client or a person wants it ended. */
  | { readonly kind: 'cancel'; readonly name: string; readonly reason: string }
  | { readonly kind: 'heartbeat'; readonly heartbeat: WorkerHeartbeat }
  /** The reply to an offer; undefined when none came. */
  | {
      readonly kind: 'offerReply';
      readonly operationName: string;
      readonly epoch: number;
      readonly workerId: string;
      readonly reply: OfferReply | undefined;
    }
  | { readonly kind: 'progress'; readonly progress: Progress }
  /** A worker has finished; the token waits for a CommitReply. */
  | { readonly kind: 'commit'; readonly token: string; readonly commit: Commit }
  /** What `prepareCommit` asked for is done: the result is checked, and filed when it may be. */
  | {
      readonly kind: 'commitPrepared';
      readonly operationName: string;
      readonly epoch: number;
      readonly response: ExecuteResponse;
      readonly responseBytes: number;
      /** It is in the action cache. */
      readonly cached: boolean;
    }
  /** It could not be done. `retry`: for now, the worker shall commit again; else the result is no good. */
  | {
      readonly kind: 'commitFailed';
      readonly operationName: string;
      readonly epoch: number;
      readonly reason: string;
      readonly retry: boolean;
    }
  /** Every `tickMs`. */
  | { readonly kind: 'tick' };

/** The event of one kind. */
export type EventOf<K extends SchedulerEvent['kind']> = Extract<SchedulerEvent, { readonly kind: K }>;
