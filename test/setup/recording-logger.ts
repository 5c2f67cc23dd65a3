import type { Logger } from '../../core/log/logger.ts';

/** One line as it was logged; the fields of child loggers are merged in. */
export interface RecordedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

/** A logger that keeps what is logged, for tests to look at. */
export interface RecordingLogger extends Logger {
  readonly lines: readonly RecordedLine[];
  /** The lines of one level. */
  at(level: RecordedLine['level']): RecordedLine[];
}

export function recordingLogger(lines: RecordedLine[] = [], bound: object = {}): RecordingLogger {
  const log = (level: RecordedLine['level']) => (fields: object, message: string) => {
    lines.push({ level, fields: { ...bound, ...fields }, message });
  };
  return {
    lines,
    at: (level) => lines.filter((line) => line.level === level),
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    child: (fields) => recordingLogger(lines, { ...bound, ...fields }),
  };
}
