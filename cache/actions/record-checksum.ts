import { hash } from 'node:crypto';

/** Enough of a SHA-256 that damage does not slip through; it is no defence against malice. */
const CHECKSUM_BYTES = 16;

/** A value with a checksum of key and value in front. */
export function sealRecord(key: string, value: Uint8Array): Buffer {
  return Buffer.concat([checksum(key, value), value]);
}

/** The value of a sealed record, or undefined when record or key are not what was sealed. */
export function openRecord(key: string, record: Uint8Array): Uint8Array | undefined {
  if (record.byteLength < CHECKSUM_BYTES) return undefined;
  const value = record.subarray(CHECKSUM_BYTES);
  return checksum(key, value).equals(record.subarray(0, CHECKSUM_BYTES)) ? value : undefined;
}

function checksum(key: string, value: Uint8Array): Buffer {
  const inner = hash('sha256', value, 'hex');
  return hash('sha256', `${inner}\0${key}`, 'buffer').subarray(0, CHECKSUM_BYTES);
}
