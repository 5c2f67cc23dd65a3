import { Lifecycle } from '../../core/lifecycle.ts';
import { createLogger, type LogFormat, type Logger, type LogLevel } from '../../core/log/logger.ts';
import { MetricRegistry } from '../../core/metrics/metric-registry.ts';
import { ProcessMetrics } from '../../core/metrics/process-metrics.ts';
import type { RoleHost } from '../../core/role.ts';
import type { CommandContext } from '../command-context.ts';
import { ExitCode } from '../exit-code.ts';

/** Closing what a role opened, once it is drained, takes at most this long. */
const CLOSE_MS = 10_000;

interface RoleProcessConfig {
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** A role that is up. */
export interface StartedRole {
  /** What follows `ready` on stdout: `grpc=127.0.0.1:8980 …`. */
  readonly endpoints: Readonly<Record<string, string>>;
  /** Takes nothing new and lets what runs come to its end, for as long as the role is told to. */
  drain(): Promise<void>;
}

/**
 * The life of a server process: start, say `ready`, serve until the first signal, drain, close in reverse order,
 * exit 0. A failed start closes what it had opened.
 */
export async function runRole(
  { printer, signal }: CommandContext,
  config: RoleProcessConfig,
  start: (host: RoleHost) => Promise<StartedRole>,
): Promise<number> {
  const logger: Logger = createLogger({ level: config.logLevel, format: config.logFormat });
  const lifecycle = new Lifecycle({ logger });
  try {
    const metrics = new MetricRegistry();
    const processMetrics = new ProcessMetrics();
    metrics.add(processMetrics);
    lifecycle.defer('process metrics', () => processMetrics[Symbol.dispose]());
    const role = await start({ logger, lifecycle, metrics });
    const endpoints = Object.entries(role.endpoints).map(([name, value]) => `${name}=${value}`);
    printer.line(['ready', ...endpoints].join(' '));
    printer.result({ ready: true, pid: process.pid, ...role.endpoints });
    await aborted(signal);
    printer.note('draining; a second Ctrl-C ends at once');
    await role.drain();
  } finally {
    await lifecycle.shutdown({ deadlineMs: CLOSE_MS });
  }
  return ExitCode.OK;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // A timer keeps the process up: a worker that lost its bus has nothing else that would.
    const alive = setInterval(() => undefined, 60_000);
    const end = () => {
      clearInterval(alive);
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
