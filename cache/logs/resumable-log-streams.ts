import type { IoOptions } from '../../core/io-options.ts';
import type { LogStreams } from '../log-streams.ts';

/** How far a log stream is. */
export interface LogStreamStatus {
  /** Bytes its writers have delivered. */
  readonly sizeBytes: number;
  /** No more will come. */
  readonly ended: boolean;
}

/**
 * Log streams whose writer may lose its connection and go on: a `write` whose source throws leaves the stream open
 * for a while, and its next writer asks where to begin.
 */
export interface ResumableLogStreams extends LogStreams {
  /** Undefined when there is no such stream. */
  status(name: string, options?: IoOptions): Promise<LogStreamStatus | undefined>;
}
