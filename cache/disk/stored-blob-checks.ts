import { readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { Digest, digestFunctionName, digestFunctions } from '../../core/digest.ts';
import { isIngotError } from '../../core/error.ts';
import { IN_FILE } from './blob-index.ts';
import type { DiskParts } from './disk-parts.ts';
import { indexWordsOf } from './index-words.ts';
import type { Segment } from './segment.ts';
import { digestOf, RecordKind } from './segment-record.ts';

/** Is told of bytes that were read, and may take its time. */
export type ReadPace = (bytes: number) => Promise<void>;

/** What a check does about damage. */
export interface CheckOptions {
  readonly pace: ReadPace;
  /** Is told of a damaged blob. */
  readonly onDamaged?: (digest: Digest) => void;
  /** Leave damaged blobs where they are. */
  readonly keep?: boolean;
}

/** Reads and hashes the blobs that are in a segment, and takes out those that are damaged. */
export async function checkSegment(parts: DiskParts, segment: Segment, options: CheckOptions): Promise<void> {
  const { index, segments } = parts;
  for (const record of await segments.log.recordsOf(segment)) {
    if (record.kind !== RecordKind.blob) continue;
    const id = index.find(indexWordsOf(record.digest), record.digest.digestFunction, record.digest.sizeBytes);
    const place = { segment: segment.number, offset: record.offset };
    if (id < 0 || !index.isAt(id, place)) continue;
    const digest = digestOf(record);
    if (!(await segments.check(digest, place, options))) options.onDamaged?.(digest);
    await options.pace(record.payloadBytes);
  }
}

/** The same of the files in one of their folders. */
export async function checkFilesOf(parts: DiskParts, folder: string, options: CheckOptions): Promise<void> {
  const name = basename(dirname(folder));
  const digestFunction = digestFunctions.find((known) => digestFunctionName(known) === name);
  for (const hash of await readdir(folder)) {
    const digest = digestIn(parts, hash, digestFunction);
    if (digest === undefined) continue;
    if (!(await parts.files.check(digest, options))) options.onDamaged?.(digest);
    await options.pace(digest.sizeBytes);
  }
}

function digestIn(
  { index }: DiskParts,
  hash: string,
  digestFunction: (typeof digestFunctions)[number] | undefined,
): Digest | undefined {
  try {
    const named = Digest.of(hash, 1, digestFunction);
    const id = index.findHash(indexWordsOf(named), named.digestFunction);
    if (id < 0 || index.isPending(id) || index.segmentOf(id) !== IN_FILE) return undefined;
    return Digest.of(hash, index.sizeOf(id), digestFunction);
  } catch (error) {
    if (!isIngotError(error)) throw error;
    return undefined;
  }
}
