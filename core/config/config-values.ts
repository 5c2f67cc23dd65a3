import { z } from 'zod';

// Types for configuration schemas. A default written as people write it goes with `.prefault('10GiB')`; zod's
// `.default()` takes the parsed value.

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['kb', 1e3],
  ['mb', 1e6],
  ['gb', 1e9],
  ['tb', 1e12],
  ['kib', 2 ** 10],
  ['mib', 2 ** 20],
  ['gib', 2 ** 30],
  ['tib', 2 ** 40],
]);
const TIME_UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** An address to listen on or to connect to. */
export interface HostPort {
  /** A host name or IP address; an IPv6 one without its brackets. */
  readonly host: string;
  readonly port: number;
}

/** Bounds of a number, both inclusive, in its own unit. */
export interface ValueBounds {
  readonly min?: number;
  readonly max?: number;
}

/** A size in bytes: `10GiB`, `1.5MB`, `4096`. */
export function byteSize({ min = 0, max = Number.MAX_SAFE_INTEGER }: ValueBounds = {}) {
  return z.union([z.string(), z.number()]).transform((value, context) => {
    const match = /^([0-9]+(?:\.[0-9]+)?) ?([a-z]*)$/i.exec(String(value).trim());
    const unit = SIZE_UNITS.get((match?.[2] ?? '').toLowerCase());
    const bytes = match === null || unit === undefined ? Number.NaN : Math.round(Number(match[1]) * unit);
    if (!Number.isSafeInteger(bytes)) return refuse(context, 'expected a size such as 512MiB, 10GiB or 4096');
    if (bytes < min || bytes > max) return refuse(context, `expected ${min} to ${max} bytes, got ${bytes}`);
    return bytes;
  });
}

/** A time, in milliseconds once parsed: `500ms`, `30s`, `1h30m`. A number without a unit is refused, but for 0. */
export function duration({ min = 0, max = Number.MAX_SAFE_INTEGER }: ValueBounds = {}) {
  return z.union([z.string(), z.number()]).transform((value, context) => {
    const ms = parseDuration(String(value).trim());
    if (ms === undefined) return refuse(context, 'expected a time with its unit such as 500ms, 30s or 1h30m');
    if (ms < min || ms > max) return refuse(context, `expected ${min} to ${max} ms, got ${ms}`);
    return ms;
  });
}

/** `HOST:PORT`, `[::1]:8980`. Port 0 lets the system choose one. */
export function hostPort() {
  return z.string().transform((value, context): HostPort => {
    const match = /^(?:\[([0-9a-f:.%]+)\]|([^\s:/[\]@]+)):([0-9]{1,5})$/i.exec(value.trim());
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    if (host === undefined || !(port <= 65_535)) {
      return refuse(context, 'expected HOST:PORT such as 127.0.0.1:8980 or [::1]:8980');
    }
    return { host, port };
  });
}

/** An address to call, with the scheme `grpcs://` for TLS, or `grpc://` or none for clear text. */
export interface RpcEndpoint extends HostPort {
  readonly tls: boolean;
}

/** `HOST:PORT`, `grpcs://HOST:PORT`. */
export function rpcEndpoint() {
  return z.string().transform((value, context): RpcEndpoint => {
    const [, scheme, address] = /^(grpcs?:\/\/)?(.*)$/s.exec(value.trim()) ?? [];
    const parsed = hostPort().safeParse(address);
    if (!parsed.success) {
      return refuse(context, 'expected HOST:PORT such as 127.0.0.1:8982, or grpcs://HOST:PORT for TLS');
    }
    return { ...parsed.data, tls: scheme === 'grpcs://' };
  });
}

/** A whole number. */
export function count({ min = 0, max = Number.MAX_SAFE_INTEGER }: ValueBounds = {}) {
  return z.number().int().min(min).max(max);
}

/** `key=value` pairs: a list of them, several with commas between, or a mapping in the file. A key comes once. */
export function keyValues() {
  const mapping = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
  return z
    .union([z.string(), z.array(z.string()), mapping])
    .transform((value, context): ReadonlyMap<string, string> => {
      const pairs = new Map<string, string>();
      for (const [key, text] of pairsOf(value)) {
        if (key === '' || text === undefined) return refuse(context, 'expected KEY=VALUE');
        if (pairs.has(key)) return refuse(context, `${key} is given twice`);
        pairs.set(key, text);
      }
      return pairs;
    });
}

function pairsOf(
  value: string | readonly string[] | Readonly<Record<string, unknown>>,
): (readonly [string, string | undefined])[] {
  if (typeof value === 'object' && !Array.isArray(value)) {
    return Object.entries(value).map(([key, member]) => [key, String(member)]);
  }
  const parts = typeof value === 'string' ? value.split(',') : (value as readonly string[]);
  return parts.map((part) => {
    const at = part.indexOf('=');
    return at === -1 ? [part.trim(), undefined] : [part.slice(0, at).trim(), part.slice(at + 1).trim()];
  });
}

function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, unit = ''] of text.matchAll(/([0-9.]+)(ms|s|m|h|d)/g)) {
    ms += Number(amount) * (TIME_UNITS.get(unit) ?? Number.NaN);
  }
  const whole = Math.round(ms);
  return Number.isSafeInteger(whole) ? whole : undefined;
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}
