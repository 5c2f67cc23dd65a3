import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';

/** Most cores one action may ask for; more than any machine has, few enough for thousandths to fit uint32. */
const CORES_MAX = 4096;
/** Most memory one action may ask for. */
const MEMORY_BYTES_MAX = 2 ** 50;

const DECIMAL = /^\d{1,16}(?:\.\d{1,9})?$/;
const AMOUNT = /^(\d{1,16}(?:\.\d{1,9})?)\s?([A-Za-z]*)$/;

const UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['B', 1],
  ['kB', 1e3],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
]);

/** Cores as a person writes them (`2`, `0.5`) in thousandths; INVALID_ARGUMENT names the property. */
export function parseCpuMillis(text: string, property: string): number {
  const cores = DECIMAL.test(text) ? Number(text) : Number.NaN;
  const millis = Math.ceil(cores * 1000);
  if (millis >= 1 && cores <= CORES_MAX) return millis;
  throw invalidArgument(
    `platform property ${property} is ${quote(text)}, expected a number of cores from 0.001 to ${CORES_MAX}`,
  );
}

/** Bytes, plain or with a unit (`4GiB`, `500MB`); INVALID_ARGUMENT names the property. */
export function parseMemoryBytes(text: string, property: string): number {
  const match = AMOUNT.exec(text);
  const unitBytes = UNITS.get(match?.[2] ?? '');
  const bytes =
    match === null || unitBytes === undefined ? Number.NaN : Math.ceil(Number(match[1]) * unitBytes);
  if (bytes >= 1 && bytes <= MEMORY_BYTES_MAX) return bytes;
  throw invalidArgument(
    `platform property ${property} is ${quote(text)}, expected bytes or an amount such as 512MiB or 4GiB`,
  );
}

/** A whole number from 0 to `max`; INVALID_ARGUMENT names the property. */
export function parseCount(text: string, property: string, max: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (count <= max) return count;
  throw invalidArgument(
    `platform property ${property} is ${quote(text)}, expected a whole number from 0 to ${max}`,
  );
}
