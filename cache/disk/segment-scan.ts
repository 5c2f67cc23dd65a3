import { Digest } from '../../core/digest.ts';
import { SEGMENT_HEAD_BYTES } from './segment.ts';
import {
  decodeHeader,
  digestOf,
  RECORD_HEADER_BYTES,
  type RecordFields,
  RecordKind,
  recordBytes,
} from './segment-record.ts';

const MAGIC = Buffer.from('INGR');

/** What a scan came upon besides records. */
export interface SegmentScan {
  /** Behind the last good record. */
  readonly endBytes: number;
  /** In front of that, bytes that are no good record. */
  readonly damagedBytes: number;
  /** Records these bytes were, as far as can be told: at the end of a segment a torn one is no damage. */
  readonly damagedRecords: number;
}

/**
 * Reads all records of a segment from its bytes, in order. A record counts when its header's checksum is right and
 * its payload hashes to its digest; what does not is passed over, up to the next header that is right.
 */
export function scanSegment(
  bytes: Buffer,
  seed: number,
  onRecord: (record: RecordFields, header: Buffer) => void,
): SegmentScan {
  let at = SEGMENT_HEAD_BYTES;
  let endBytes = at;
  let goodBytes = at;
  let damagedRecords = 0;
  let badSince = 0;
  let inBadHeader = false;
  while (at < bytes.length) {
    const record = decodeHeader(bytes, at, seed);
    if (record === undefined || record.offset !== at) {
      if (!inBadHeader) badSince += 1;
      inBadHeader = true;
      at = nextMagic(bytes, at + 8);
      continue;
    }
    inBadHeader = false;
    const sizeBytes = recordBytes(record.payloadBytes);
    if (isWhole(bytes, record)) {
      damagedRecords += badSince;
      badSince = 0;
      onRecord(record, bytes.subarray(at, at + RECORD_HEADER_BYTES));
      goodBytes += sizeBytes;
      endBytes = at + sizeBytes;
    } else badSince += 1;
    at += sizeBytes;
  }
  return { endBytes, damagedBytes: endBytes - goodBytes, damagedRecords };
}

/** Records begin at multiples of 8. */
function nextMagic(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(MAGIC, from); at >= 0; at = bytes.indexOf(MAGIC, at + 1)) {
    if (at % 8 === 0) return at;
  }
  return bytes.length;
}

function isWhole(bytes: Buffer, record: RecordFields): boolean {
  const start = record.offset + RECORD_HEADER_BYTES;
  if (record.offset + recordBytes(record.payloadBytes) > bytes.length) return false;
  if (record.kind !== RecordKind.blob) return true;
  const { digestFunction } = record.digest;
  const payload = bytes.subarray(start, start + record.payloadBytes);
  return Digest.ofBytes(payload, digestFunction).equals(digestOf(record));
}
