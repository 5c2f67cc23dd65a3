import { crc32 } from 'node:zlib';
import { Digest } from '../../core/digest.ts';
import { readWords, writeWords } from '../../core/hash-words.ts';
import type { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobPlace } from './blob-index.ts';

/** What a record says of its blob. */
export const RecordKind = {
  /** Here are its bytes, and it is in this instance. */
  blob: 1,
  /** It is in this instance, too; its bytes are elsewhere. */
  link: 2,
  /** Its bytes in one place are damaged; see {@link dropFields}. */
  drop: 3,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** A record's header takes so many bytes; the payload follows, and the next record begins at a multiple of 8. */
export const RECORD_HEADER_BYTES = 104;
const MAGIC = 0x52474e49;
const HASH_AT = 32;
const CRC_AT = 100;

/** What a header says. */
export interface RecordFields {
  readonly kind: RecordKind;
  readonly digest: Pick<Digest, 'digestFunction' | 'words' | 'tail' | 'sizeBytes'>;
  /** Number of the instance. */
  readonly instance: number;
  /** Last use when it was written, since 1970. */
  readonly seconds: number;
  readonly payloadBytes: number;
  /** Of the header in its segment. */
  readonly offset: number;
}

/** A drop has no instance and no time: it says there where the bytes are that it means, whatever else is stored meanwhile. */
export function dropFields({ segment, offset }: BlobPlace): Pick<RecordFields, 'instance' | 'seconds'> {
  return { instance: segment, seconds: offset / 8 };
}

/** What a drop means. */
export function droppedPlace({ instance, seconds }: RecordFields): BlobPlace {
  return { segment: instance, offset: seconds * 8 };
}

/** Bytes that a record with this payload takes. */
export function recordBytes(payloadBytes: number): number {
  return (RECORD_HEADER_BYTES + payloadBytes + 7) & ~7;
}

/** Writes the header at `at`. The seed is the segment's: a header that some blob contains is not taken for one. */
export function encodeHeader(target: Buffer, at: number, fields: RecordFields, seed: number): void {
  const { digest } = fields;
  target.fill(0, at, at + RECORD_HEADER_BYTES);
  target.writeUInt32LE(MAGIC, at);
  target[at + 4] = fields.kind;
  target[at + 5] = digest.digestFunction;
  target[at + 7] = 32 + digest.tail.length / 2;
  target.writeUInt32LE(fields.instance, at + 8);
  target.writeUInt32LE(fields.seconds, at + 12);
  target.writeUInt32LE(fields.offset, at + 16);
  target.writeUInt32LE(fields.payloadBytes, at + 20);
  target.writeDoubleLE(digest.sizeBytes, at + 24);
  writeWords(digest.words, target, at + HASH_AT);
  if (digest.tail !== '') target.write(digest.tail, at + HASH_AT + 32, 'hex');
  target.writeUInt32LE(crc32(target.subarray(at, at + CRC_AT), seed), at + CRC_AT);
}

/** The header at `at`, or undefined when there is none of this segment. */
export function decodeHeader(source: Buffer, at: number, seed: number): RecordFields | undefined {
  if (at + RECORD_HEADER_BYTES > source.length || source.readUInt32LE(at) !== MAGIC) return undefined;
  if (source.readUInt32LE(at + CRC_AT) !== crc32(source.subarray(at, at + CRC_AT), seed)) return undefined;
  const hashBytes = source[at + 7] as number;
  return {
    kind: source[at + 4] as RecordKind,
    digest: {
      digestFunction: source[at + 5] as DigestFunction_Value,
      words: readWords(source, at + HASH_AT),
      tail: hashBytes > 32 ? source.toString('hex', at + HASH_AT + 32, at + HASH_AT + hashBytes) : '',
      sizeBytes: source.readDoubleLE(at + 24),
    },
    instance: source.readUInt32LE(at + 8),
    seconds: source.readUInt32LE(at + 12),
    offset: source.readUInt32LE(at + 16),
    payloadBytes: source.readUInt32LE(at + 20),
  };
}

/** The whole digest a header names. */
export function digestOf({ digest }: RecordFields): Digest {
  return Digest.ofWords(digest, digest.sizeBytes, digest.digestFunction);
}
