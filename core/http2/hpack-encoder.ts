import { staticTable } from './hpack-static-table.ts';

const STRING_BYTES_IN_PREFIX = 127;
const NAME_IN_PREFIX = 15;
const INDEXED = 0x80;

/** Numbers of the fields that a response has whole in the static table, and of names that are there. */
const wholeFields = new Map(
  staticTable.map(({ name, value }, index) => [`${name}\0${value}`, index + 1] as const),
);
const names = new Map(staticTable.map(({ name }, index) => [name, index + 1] as const).toReversed());

/**
 * Encodes a header list for any connection: from the static table or as literals in Latin-1, and nothing enters the
 * peer's table, so that the bytes can be kept and sent again.
 */
export function encodeHeaders(fields: Iterable<readonly [name: string, value: string]>): Uint8Array {
  const bytes: number[] = [];
  for (const [name, value] of fields) {
    const whole = wholeFields.get(`${name}\0${value}`);
    if (whole !== undefined) {
      bytes.push(INDEXED | whole);
      continue;
    }
    const number = names.get(name) ?? 0;
    pushInteger(bytes, number, NAME_IN_PREFIX);
    if (number === 0) pushString(bytes, name);
    pushString(bytes, value);
  }
  return Buffer.from(bytes);
}

function pushInteger(bytes: number[], value: number, prefixMax: number): void {
  if (value < prefixMax) {
    bytes.push(value);
    return;
  }
  bytes.push(prefixMax);
  let rest = value - prefixMax;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
}

function pushString(bytes: number[], text: string): void {
  pushInteger(bytes, text.length, STRING_BYTES_IN_PREFIX);
  for (let at = 0; at < text.length; at++) bytes.push(text.charCodeAt(at) & 0xff);
}
