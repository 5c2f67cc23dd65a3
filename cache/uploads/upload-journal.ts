import { hash } from 'node:crypto';
import { Digest } from '../../core/digest.ts';

/** Hex digits of each line's checksum; against torn writes, not against malice. */
const CHECKSUM_DIGITS = 32;

/** What the journal of an upload says. */
export interface UploadJournal {
  /** The upload's name. */
  readonly key: string;
  /** What it is to become. */
  readonly digest: Digest;
  /** So many bytes from its start survive a power loss. */
  readonly durableBytes: number;
}

/** The first line of an upload's journal. */
export function journalHeader({ key, digest }: Omit<UploadJournal, 'durableBytes'>): Buffer {
  const { hash: digestHash, sizeBytes, digestFunction } = digest;
  return line({ key, hash: digestHash, sizeBytes, digestFunction });
}

/** A further line, appended when so many bytes are durable. */
export function journalProgress(durableBytes: number): Buffer {
  return line({ durableBytes });
}

/** Reads a journal as far as it is sound; undefined when not even its first line is. */
export function parseJournal(content: string): UploadJournal | undefined {
  const [first, ...others] = soundLines(content);
  if (first === undefined) return undefined;
  const { key, hash: digestHash, sizeBytes, digestFunction } = first as JournalHeader;
  const last = others.at(-1) as JournalProgress | undefined;
  return {
    key,
    digest: Digest.of(digestHash, sizeBytes, digestFunction),
    durableBytes: last?.durableBytes ?? 0,
  };
}

interface JournalHeader {
  readonly key: string;
  readonly hash: string;
  readonly sizeBytes: number;
  readonly digestFunction: Digest['digestFunction'];
}

interface JournalProgress {
  readonly durableBytes: number;
}

function line(value: object): Buffer {
  const text = JSON.stringify(value);
  return Buffer.from(`${checksum(text)} ${text}\n`);
}

function soundLines(content: string): object[] {
  const lines: object[] = [];
  for (const whole of content.split('\n')) {
    const text = whole.slice(CHECKSUM_DIGITS + 1);
    // Whoever wrote a line with a right checksum was this code, so that its shape is right too.
    if (whole !== `${checksum(text)} ${text}`) break;
    lines.push(JSON.parse(text));
  }
  return lines;
}

function checksum(text: string): string {
  return hash('sha256', text, 'hex').slice(0, CHECKSUM_DIGITS);
}
