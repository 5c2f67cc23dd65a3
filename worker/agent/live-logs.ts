import type { LogStreams } from '../../cache/log-streams.ts';
import { linkedAbort } from '../../core/abort.ts';
import { cancelled } from '../../core/error.ts';
import type { Logger } from '../../core/log/logger.ts';
import { followLog } from './log-follower.ts';

/** How long the streams may take to be read to their end after the command's; the result does not wait longer. */
const FINISH_MS = 5000;

export interface LiveLogsOptions {
  readonly logStreams: LogStreams;
  readonly logger: Logger;
  readonly bytesMax: number;
}

/** A file that grows, and the log stream it is written to. */
export interface LiveLog {
  readonly path: string;
  /** Empty: nobody asked for it. */
  readonly streamName: string;
}

/** Streams the output of commands while they run. Best effort: the result has all of it, whatever becomes of a stream. */
export class LiveLogs {
  readonly #options: LiveLogsOptions;

  constructor(options: LiveLogsOptions) {
    this.#options = options;
  }

  /** Streams the files during the task and to their end after it. */
  async during<T>(logs: readonly LiveLog[], task: () => Promise<T>): Promise<T> {
    using files = linkedAbort();
    using writes = linkedAbort();
    const writing = logs
      .filter(({ streamName }) => streamName !== '')
      .map((log) => this.#write(log, files.signal, writes.signal));
    try {
      return await task();
    } finally {
      files.abort(cancelled('the command is over'));
      const late = setTimeout(() => writes.abort(cancelled('nobody reads the log')), FINISH_MS);
      await Promise.all(writing);
      clearTimeout(late);
    }
  }

  async #write({ path, streamName }: LiveLog, ended: AbortSignal, signal: AbortSignal): Promise<void> {
    const { logStreams, logger, bytesMax } = this.#options;
    try {
      await logStreams.write(streamName, followLog({ path, ended, bytesMax }), { signal });
    } catch (error) {
      logger.warn({ stream: streamName, error }, 'live log is not shown to its end');
    }
  }
}
