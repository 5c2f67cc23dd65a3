import { describe, expect, it } from 'vitest';
import { formatBytes } from '../../../cli/output/format-bytes.ts';
import { formatDuration } from '../../../cli/output/format-duration.ts';
import { formatTable } from '../../../cli/output/format-table.ts';
import { progressLine } from '../../../cli/output/progress-line.ts';
import { reflow } from '../../../cli/output/reflow.ts';

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [370 * 2 ** 20, '370 MiB'],
    [1023.9 * 2 ** 20, '1.0 GiB'],
    [3 * 2 ** 50, '3.0 PiB'],
    [5000 * 2 ** 50, '5000 PiB'],
  ])('%d is %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0 ms'],
    [999.4, '999 ms'],
    [999.6, '1.00 s'],
    [3_421, '3.42 s'],
    [9_996, '10.0 s'],
    [59_990, '60.0 s'],
    [59_996, '1 min 00 s'],
    [125_000, '2 min 05 s'],
    [3_661_000, '1 h 01 min'],
    [7_199_999, '2 h 00 min'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

describe('formatTable', () => {
  it('aligns columns and leaves no space at the ends', () => {
    expect(
      formatTable(
        ['A', 'LONG', 'C'],
        [
          ['wide', 'x', ''],
          ['y', 'zzzzz', 'end'],
        ],
      ),
    ).toEqual(['A     LONG   C', 'wide  x', 'y     zzzzz  end']);
  });

  it('has no lines without rows', () => {
    expect(formatTable(['A'], [])).toEqual([]);
  });
});

describe('progressLine', () => {
  it.each([
    [['x', 0, 10], 'x [................]   0 %'],
    [['x', 10, 10, 'n'], 'x [################] 100 %  n'],
    [['x', 11, 10], 'x [################] 100 %'],
    [['x', 9.99, 10], 'x [################]  99 %'],
    [['x', 3], 'x 3'],
    [['x', 3, undefined, 'n'], 'x  n'],
  ] as const)('%j is %s', (args, text) => {
    expect(progressLine(...(args as unknown as Parameters<typeof progressLine>))).toBe(text);
  });

  it('leaves room for what the longest download has to say in 80 columns', () => {
    const line = progressLine('download CUDA 13.5 from PyPI', 1, 10, '12.3 MiB of 123.4 MiB');
    expect(line.length).toBeLessThan(80);
  });
});

describe('reflow', () => {
  it('fills paragraphs that are too wide anew, and leaves the rest', () => {
    const text =
      'Variables: one two three\nfour.\nExit codes: 0\n\nExamples:\n  ingot run something that is long\nshort';
    expect(reflow(text, 20)).toBe(
      'Variables: one two\nthree four.\nExit codes: 0\n\nExamples:\n  ingot run something that is long\nshort',
    );
    expect(reflow(text, 80)).toBe(text);
  });
});
