import type {
  ExecutedActionMetadata,
  ExecuteResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Timestamp } from '../../proto/gen/google/protobuf/timestamp.ts';
import { formatDuration } from '../output/format-duration.ts';

/** Times of one execution's phases in milliseconds; those the worker did not tell are left out. */
export interface PhaseTimes {
  readonly queuedMs?: number;
  readonly inputsMs?: number;
  readonly commandMs?: number;
  readonly outputsMs?: number;
}

/** How long each phase took, from the worker's timestamps. */
export function phaseTimes(metadata: ExecutedActionMetadata | undefined): PhaseTimes {
  if (metadata === undefined) return {};
  return {
    ...span('queuedMs', metadata.queuedTimestamp, metadata.workerStartTimestamp),
    ...span('inputsMs', metadata.inputFetchStartTimestamp, metadata.inputFetchCompletedTimestamp),
    ...span('commandMs', metadata.executionStartTimestamp, metadata.executionCompletedTimestamp),
    ...span('outputsMs', metadata.outputUploadStartTimestamp, metadata.outputUploadCompletedTimestamp),
  };
}

/** `hit in 90 ms` or `ran in 3.4 s on w1 (queued 2 ms, …)`, and the exit code where it is not 0. */
export function summaryLine(response: ExecuteResponse, totalMs: number): string {
  const exitCode = response.result?.exitCode ?? 0;
  const suffix = exitCode === 0 ? '' : `, exit code ${exitCode}`;
  if (response.cachedResult) return `hit in ${formatDuration(totalMs)}${suffix}`;
  const metadata = response.result?.executionMetadata;
  const where = metadata?.worker ? ` on ${metadata.worker}` : '';
  const phases = Object.entries(phaseTimes(metadata)).map(
    ([name, ms]) => `${name.replace(/Ms$/, '')} ${formatDuration(ms)}`,
  );
  const detail = phases.length === 0 ? '' : ` (${phases.join(', ')})`;
  return `ran in ${formatDuration(totalMs)}${where}${detail}${suffix}`;
}

function span<K extends string>(
  key: K,
  start: Timestamp | undefined,
  end: Timestamp | undefined,
): Partial<Record<K, number>> {
  if (start === undefined || end === undefined) return {};
  const ms = (end.seconds - start.seconds) * 1000 + (end.nanos - start.nanos) / 1e6;
  return { [key]: Math.max(0, ms) } as Partial<Record<K, number>>;
}
