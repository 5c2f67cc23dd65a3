import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { selectRange } from '../../../cache/http/http-range.ts';

describe('selectRange', () => {
  it.each([
    ['bytes=0-0', { start: 0, end: 1 }],
    ['bytes=2-5', { start: 2, end: 6 }],
    ['bytes=2-', { start: 2, end: 10 }],
    ['bytes=-3', { start: 7, end: 10 }],
    ['bytes=-30', { start: 0, end: 10 }],
    ['bytes=9-1000', { start: 9, end: 10 }],
    ['Bytes= 2-5 ', { start: 2, end: 6 }],
  ])('takes %s of ten bytes', (header, range) => {
    expect(selectRange(header, 10)).toEqual(range);
  });

  it.each(['bytes=10-', 'bytes=10-20', 'bytes=-0', 'bytes=9007199254740993-'])(
    'has nothing for %s',
    (header) => {
      expect(selectRange(header, 10)).toBe('none');
    },
  );

  it.each([
    undefined,
    '',
    'bytes=',
    'bytes=-',
    'bytes=5-2',
    'bytes=0-1,3-4',
    'bytes=a-b',
    'bytes=+1-2',
    'items=0-1',
    'bytes=99999999999999999999-',
  ])('takes all for %s, as HTTP allows', (header) => {
    expect(selectRange(header, 10)).toBeUndefined();
  });

  it('never selects what is not there', () => {
    const bound = fc.option(fc.nat({ max: 200 }), { nil: undefined });
    fc.assert(
      fc.property(bound, bound, fc.nat({ max: 100 }), (first, last, sizeBytes) => {
        const range = selectRange(`bytes=${first ?? ''}-${last ?? ''}`, sizeBytes);
        if (range === undefined || range === 'none') return;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeGreaterThan(range.start);
        expect(range.end).toBeLessThanOrEqual(sizeBytes);
      }),
    );
  });
});
