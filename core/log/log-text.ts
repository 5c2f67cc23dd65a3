import { escapeControls } from '../escape-controls.ts';
import type { LoggedError } from './log-error.ts';

/** Keys of a JSON log line with a place of their own in the text line. */
const OWN_PLACE = new Set(['time', 'level', 'message', 'error']);

/**
 * One JSON log line as text: time, level, message, fields as `key=value`, and the error with its causes on
 * lines of their own. What is not JSON is passed on as it is.
 */
export function formatLogLine(jsonLine: string): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(jsonLine);
  } catch {
    // Better an odd line in the log than none.
    return jsonLine;
  }
  const fields = Object.entries(entry)
    .filter(([key]) => !OWN_PLACE.has(key))
    .map(([key, value]) => ` ${key}=${formatValue(value)}`);
  const level = String(entry.level).toUpperCase().padEnd(5);
  const head = `${entry.time} ${level} ${entry.message}${fields.join('')}\n`;
  return entry.error === undefined ? head : head + formatError(entry.error as LoggedError);
}

function formatError(error: LoggedError): string {
  const code = error.code === undefined ? '' : ` (${error.code})`;
  const frames = (error.stack ?? '')
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .map(escapeControls);
  const own = [`  ${error.type}${code}: ${escapeControls(error.message)}`, ...frames].join('\n');
  return `${own}\n${error.cause === undefined ? '' : `  caused by:\n${formatError(error.cause)}`}`;
}

/** A bare word stays bare; anything that could be mistaken for more than one value is quoted. */
function formatValue(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=\p{C}]+$/u.test(value)) return value;
  return escapeControls(JSON.stringify(value));
}
