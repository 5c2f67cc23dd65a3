import { crc32 } from 'node:zlib';
import { decodeHeader, RECORD_HEADER_BYTES, type RecordFields } from './segment-record.ts';

const MAGIC = Buffer.from('INGOTIDX');
const VERSION = 1;
const HEAD_BYTES = 40;
const CRC_BYTES = 4;

/** What a sidecar says of its segment. */
export interface SidecarFacts {
  readonly number: number;
  readonly seed: number;
  readonly lengthBytes: number;
  readonly usedSeconds: number;
}

/** The bytes of a sidecar: the headers of all records of a sealed segment, so that a start need not read the segment. */
export function encodeSidecar(facts: SidecarFacts, headers: Buffer): Buffer {
  const sidecar = Buffer.alloc(HEAD_BYTES + headers.length + CRC_BYTES);
  MAGIC.copy(sidecar);
  sidecar.writeUInt32LE(VERSION, 8);
  sidecar.writeUInt32LE(facts.number, 12);
  sidecar.writeUInt32LE(facts.seed, 16);
  sidecar.writeUInt32LE(facts.usedSeconds, 20);
  sidecar.writeDoubleLE(facts.lengthBytes, 24);
  headers.copy(sidecar, HEAD_BYTES);
  const end = sidecar.length - CRC_BYTES;
  sidecar.writeUInt32LE(crc32(sidecar.subarray(0, end)), end);
  return sidecar;
}

/** Its facts and records; undefined when it is damaged or another segment's. */
export function decodeSidecar(
  sidecar: Buffer,
  { number, seed }: Pick<SidecarFacts, 'number' | 'seed'>,
): { readonly facts: SidecarFacts; readonly records: readonly RecordFields[] } | undefined {
  const end = sidecar.length - CRC_BYTES;
  if (end < HEAD_BYTES || (end - HEAD_BYTES) % RECORD_HEADER_BYTES !== 0) return undefined;
  if (sidecar.readUInt32LE(end) !== crc32(sidecar.subarray(0, end))) return undefined;
  if (!sidecar.subarray(0, MAGIC.length).equals(MAGIC) || sidecar.readUInt32LE(8) !== VERSION)
    return undefined;
  if (sidecar.readUInt32LE(12) !== number || sidecar.readUInt32LE(16) !== seed) return undefined;
  const records: RecordFields[] = [];
  for (let at = HEAD_BYTES; at < end; at += RECORD_HEADER_BYTES) {
    const record = decodeHeader(sidecar, at, seed);
    if (record === undefined) return undefined;
    records.push(record);
  }
  const usedSeconds = sidecar.readUInt32LE(20);
  return { facts: { number, seed, usedSeconds, lengthBytes: sidecar.readDoubleLE(24) }, records };
}
