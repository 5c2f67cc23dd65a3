/** Bytes that HPACK counts for a field beside its name and value. */
const FIELD_OVERHEAD_BYTES = 32;

/** One header field, as Latin-1 text; immutable, and shared by all the requests that name it by its number. */
export class HeaderField {
  readonly name: string;
  readonly value: string;
  /** What it counts in the dynamic table and in the limit of a header list. */
  readonly bytes: number;
  /** Whether a request may have it: names in lower case, nothing of HTTP/1 connections. */
  readonly allowed: boolean;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.bytes = name.length + value.length + FIELD_OVERHEAD_BYTES;
    this.allowed = isAllowed(name, value);
  }
}

// What was the connection's in HTTP/1 has no place in HTTP/2 (RFC 9113, section 8.2.2).
const CONNECTION_NAMES: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);
const NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const BAD_VALUE = /[\0\r\n]/;

function isAllowed(name: string, value: string): boolean {
  if (!NAME.test(name) || BAD_VALUE.test(value) || CONNECTION_NAMES.has(name)) return false;
  return name !== 'te' || value === 'trailers';
}
