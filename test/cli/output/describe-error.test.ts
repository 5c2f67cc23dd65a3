import { describe, expect, it } from 'vitest';
import { HintedError } from '../../../cli/hinted-error.ts';
import { describeError } from '../../../cli/output/describe-error.ts';
import { UsageError } from '../../../cli/usage-error.ts';
import { IngotError, notFound, unavailable } from '../../../core/error.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';

describe('describeError', () => {
  it.each([
    [Code.CANCELLED, 130],
    [Code.UNKNOWN, 70],
    [Code.INVALID_ARGUMENT, 65],
    [Code.DEADLINE_EXCEEDED, 124],
    [Code.NOT_FOUND, 66],
    [Code.ALREADY_EXISTS, 73],
    [Code.PERMISSION_DENIED, 77],
    [Code.RESOURCE_EXHAUSTED, 75],
    [Code.FAILED_PRECONDITION, 78],
    [Code.ABORTED, 75],
    [Code.OUT_OF_RANGE, 65],
    [Code.UNIMPLEMENTED, 78],
    [Code.INTERNAL, 70],
    [Code.UNAVAILABLE, 69],
    [Code.DATA_LOSS, 65],
    [Code.UNAUTHENTICATED, 77],
  ])('maps code %d to exit code %d', (code, exitCode) => {
    const described = describeError(new IngotError(code, 'why'), { verbose: false });
    expect(described).toMatchObject({ lines: ['error: why'], exitCode });
  });

  it('puts a hint behind the error it belongs to', () => {
    const error = new HintedError(unavailable('no farm'), 'start one');
    expect(describeError(error, { verbose: false })).toEqual({
      lines: ['error: no farm', 'hint: start one'],
      exitCode: 69,
      code: 'UNAVAILABLE',
    });
  });

  it('tells wrong usage by exit code 2', () => {
    expect(describeError(new UsageError('--x: bad'), { verbose: false })).toEqual({
      lines: ['error: --x: bad'],
      exitCode: 2,
      code: 'USAGE',
    });
  });

  it('takes the blame for anything else', () => {
    expect(describeError(new TypeError('oops'), { verbose: false })).toEqual({
      lines: ['error: unexpected: oops', 'hint: this is a fault of ingot; --verbose shows where'],
      exitCode: 70,
      code: 'INTERNAL',
    });
  });

  it('shows where an error comes from, causes too, when verbose', () => {
    const error = notFound('gone', { cause: new Error('ENOENT') });
    const [first, ...trace] = describeError(error, { verbose: true }).lines;
    expect(first).toBe('error: gone');
    expect(trace[0]).toMatch(/IngotError: gone\n +at /);
    expect(trace[1]).toMatch(/Error: ENOENT\n +at /);
  });
});
