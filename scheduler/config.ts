import { z } from 'zod';
import { count, duration } from '../core/config/config-values.ts';

/** The settings of a scheduler; each says its unit and default. */
export const schedulerConfigSchema = z.object({
  /** Folder for everything that is kept; the journal is in `scheduler/journal-v1` below it. */
  data: z.string().min(1),
  /** Operations that may wait for a worker; more are refused. Default 100,000, some 200 MB. */
  operationsQueuedMax: count({ min: 1 }).default(100_000),
  /** Tries of an operation whose worker is lost or gives it back. Default 3. */
  attemptsMax: count({ min: 1, max: 20 }).default(3),
  /** Longest timeout an action may ask for, and that of those that ask for none. Default 24h. */
  actionTimeoutMax: duration({ min: 1 }).prefault('24h'),
  /** How long an operation waits for a worker of its kind while there is none. Default 60s. */
  workerWait: duration().prefault('60s'),
  /** How long a queued operation is kept that no client waits for. Default 60s. */
  abandonQueuedAfter: duration().prefault('60s'),
  /** The same for one a worker has already. Default 10m. */
  abandonExecutingAfter: duration().prefault('10m'),
  /** How long a finished operation can be asked for. Default 10m. */
  completedKept: duration().prefault('10m'),
  /** For tests: where the process is to die; see `core/fail-point.ts`. Default nowhere. */
  fail: z.string().optional(),
});

/** A scheduler's configuration, parsed. */
export type SchedulerConfig = z.output<typeof schedulerConfigSchema>;
