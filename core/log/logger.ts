import { pino } from 'pino';
import { describeError } from './log-error.ts';
import { formatLogLine } from './log-text.ts';

/** How much is logged: this level and those after it. `silent` logs nothing. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
/** One of {@link LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One JSON object a line for machines, or plain lines for people. */
export const LOG_FORMATS = ['json', 'text'] as const;
/** One of {@link LOG_FORMATS}. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/**
 * Where every part writes what happened. The message is constant text, the data is in the fields; an error goes
 * under `error` and is written with its chain of causes.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds these fields to every line. */
  child(fields: object): Logger;
}

/** Takes finished lines, newline included. */
export interface LogDestination {
  write(line: string): void;
}

/** What {@link createLogger} needs to know. */
export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Default: stderr, written synchronously so that the last line before an exit is not lost. */
  readonly destination?: LogDestination;
}

const STDERR_FD = 2;

/** The process's logger; `main.ts` makes it once and hands it down. */
export function createLogger({ level, format, destination }: LoggerOptions): Logger {
  const sink = destination ?? pino.destination({ fd: STDERR_FD, sync: true });
  const stream = format === 'json' ? sink : { write: (line: string) => sink.write(formatLogLine(line)) };
  return pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError },
    },
    stream,
  );
}

/** Logs nothing; for tests and for callers without a logger. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
