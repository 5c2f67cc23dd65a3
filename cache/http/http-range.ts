/** The part of a value that a client asked for: from `start` up to, but without, `end`. */
export interface HttpRange {
  readonly start: number;
  readonly end: number;
}

const SINGLE_RANGE = /^bytes=\s*(\d{0,16})-(\d{0,16})\s*$/i;

/**
 * What a Range header selects of so many bytes. Undefined means all of them: there is no such header, or it is one
 * that HTTP lets a server ignore (another unit, several ranges, malformed). `none` goes with 416.
 */
export function selectRange(header: string | undefined, sizeBytes: number): HttpRange | 'none' | undefined {
  const [, first = '', last = ''] = SINGLE_RANGE.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const suffixBytes = Number(last);
    if (suffixBytes === 0 || sizeBytes === 0) return 'none';
    return { start: Math.max(0, sizeBytes - suffixBytes), end: sizeBytes };
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (last !== '' && Number(last) < start) return undefined;
  return start < sizeBytes ? { start, end } : 'none';
}
