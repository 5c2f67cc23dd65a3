import type { NamedValues } from './client/action-message.ts';
import { UsageError } from './usage-error.ts';

const TIME_UNITS_MS = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** `500ms`, `30s`, `10m`, `1h30m` in milliseconds; a {@link UsageError} names the flag otherwise. */
export function parseDurationOption(text: string, flag: string): number {
  if (!/^(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+$/.test(text)) {
    throw new UsageError(
      `${flag}: ${JSON.stringify(text)} is not a time with its unit, as in 30s, 10m or 1h30m`,
    );
  }
  let ms = 0;
  for (const [, amount, unit = ''] of text.matchAll(/([0-9.]+)(ms|s|m|h|d)/g)) {
    ms += Number(amount) * (TIME_UNITS_MS.get(unit) ?? 0);
  }
  if (ms < 1) throw new UsageError(`${flag}: expected more than no time`);
  return Math.round(ms);
}

/** `NAME=VALUE` pairs as repeated flags give them. `fallback` answers for a bare `NAME`, where that is allowed. */
export function parsePairs(
  texts: readonly string[],
  flag: string,
  fallback?: (name: string) => string | undefined,
): NamedValues {
  return texts.map((text) => {
    const at = text.indexOf('=');
    if (at > 0) return { name: text.slice(0, at), value: text.slice(at + 1) };
    const value = at === -1 ? fallback?.(text) : undefined;
    if (value !== undefined) return { name: text, value };
    const why = at === -1 && fallback !== undefined ? 'and no such variable is set here' : '';
    throw new UsageError(`${flag}: ${JSON.stringify(text)} is not NAME=VALUE${why && `, ${why}`}`);
  });
}

/** Collects the values of a flag that may be repeated; for commander. */
export function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}
