/** Every number the state machine decides by. Times are of the monotonic clock. */
export interface SchedulerLimits {
  /** Operations that may wait for a worker; more are RESOURCE_EXHAUSTED. */
  readonly operationsQueuedMax: number;
  /** Different platforms that may wait at once; each costs a look at every dispatch. */
  readonly platformsQueuedMax: number;
  /** Tries of an operation whose worker is lost or gives it back. */
  readonly attemptsMax: number;
  /** Offers that workers may decline, one operation, before it fails: no worker does what it announces. */
  readonly declinesMax: number;
  /** Times an offer is sent before it is taken back for want of a reply. */
  readonly offerTriesMax: number;
  /** Between two sendings of an offer that had no reply. */
  readonly offerRetryMs: number;
  /** A worker that declined an offer is left alone this long. */
  readonly declinePauseMs: number;
  /** After a start: workers may not have been heard yet, so that nobody is told "no such worker" for good. */
  readonly warmUpMs: number;
  /** How long an operation waits for a worker of its kind when the last one has gone, or none has come. */
  readonly workerlessMs: number;
  /** Nobody at all is heard: the bus may be away, so that leases are kept this long. */
  readonly silenceMs: number;
  /** After a start: how long a worker that held a lease has to show itself. */
  readonly readoptMs: number;
  /** A queued operation nobody waits for is forgotten after this long. */
  readonly waiterlessQueuedMs: number;
  /** The same for one a worker has: its result will be in the cache for the next who asks. */
  readonly waiterlessExecutingMs: number;
  /** How long a finished operation is kept for those who ask late. */
  readonly completedKeptMs: number;
  /** Finished operations kept at most; the oldest go first. */
  readonly completedKeptMax: number;
  /** Bytes of the responses kept at most. */
  readonly completedKeptBytesMax: number;
  /** An operation that waited this long while smaller ones passed it gets a worker reserved. */
  readonly reserveAfterMs: number;
  /** Waiting that weighs as much as one step of priority. */
  readonly priorityStepMs: number;
  /** Longest action; also for those that name no timeout. */
  readonly actionTimeoutMaxMs: number;
  /** What a lease may last beyond the action's timeout: inputs, outputs, kill. */
  readonly leaseOverheadMs: number;
  /** How often `tick` comes. A much longer gap means that this process stood still. */
  readonly tickMs: number;
}

/** What holds unless configured otherwise. */
export const DEFAULT_SCHEDULER_LIMITS: SchedulerLimits = {
  operationsQueuedMax: 100_000,
  platformsQueuedMax: 1_000,
  attemptsMax: 3,
  declinesMax: 20,
  offerTriesMax: 3,
  offerRetryMs: 1_000,
  declinePauseMs: 1_000,
  warmUpMs: 5_000,
  workerlessMs: 60_000,
  silenceMs: 120_000,
  readoptMs: 30_000,
  waiterlessQueuedMs: 60_000,
  waiterlessExecutingMs: 600_000,
  completedKeptMs: 600_000,
  completedKeptMax: 10_000,
  completedKeptBytesMax: 64 * 1024 * 1024,
  reserveAfterMs: 30_000,
  priorityStepMs: 1_000,
  actionTimeoutMaxMs: 24 * 3_600_000,
  leaseOverheadMs: 3_600_000,
  tickMs: 500,
};
