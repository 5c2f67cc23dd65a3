import { packAny } from '../../core/error-details.ts';
import { ExecutedActionMetadata } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Timestamp } from '../../proto/gen/google/protobuf/timestamp.ts';
import type { RunEnded } from '../../proto/gen/ingot/v1/launcher.ts';
import { ResourceUsage } from '../../proto/gen/ingot/v1/usage.ts';
import { timestampOf } from '../wire-time.ts';

/** Full name of the message put into auxiliary_metadata. */
export const RESOURCE_USAGE_TYPE = 'ingot.v1.ResourceUsage';

type Phase = {
  [K in keyof ExecutedActionMetadata]: ExecutedActionMetadata[K] extends Timestamp | undefined ? K : never;
}[keyof ExecutedActionMetadata];

export interface ExecutionMetadataOptions {
  readonly worker: string;
  readonly queuedTimestamp: Timestamp | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Collects who ran an action and when each phase of it began and ended. */
export class ExecutionMetadata {
  #message: ExecutedActionMetadata;
  readonly #now: () => number;

  constructor({ worker, queuedTimestamp, now }: ExecutionMetadataOptions) {
    this.#now = now;
    this.#message = ExecutedActionMetadata.create({ worker, ...(queuedTimestamp && { queuedTimestamp }) });
  }

  /** As far as it has come; a copy that does not change any more. */
  get message(): ExecutedActionMetadata {
    return { ...this.#message };
  }

  /** The phase's time is now. */
  mark(phase: Phase): void {
    this.#message = { ...this.#message, [phase]: timestampOf(this.#now()) };
  }

  /** What the launcher measured of the command itself. */
  addRun({ started, ended, durationUs, usage }: RunEnded): void {
    const seconds = Math.floor(durationUs / 1e6);
    this.#message = {
      ...this.#message,
      executionStartTimestamp: started,
      executionCompletedTimestamp: ended,
      virtualExecutionDuration: { seconds, nanos: (durationUs - seconds * 1e6) * 1000 },
      auxiliaryMetadata: usage === undefined ? [] : [packAny(ResourceUsage, RESOURCE_USAGE_TYPE, usage)],
    };
  }
}
