import { describe, expect, it } from 'vitest';
import { parseTimeoutMs } from '../../../core/rpc/rpc-timeout.ts';

describe('parseTimeoutMs', () => {
  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['250m', 250],
    ['500u', 0.5],
    ['99999999n', 99.999999],
    ['0m', 0],
  ])('reads %s as %d ms', (header, expected) => {
    expect(parseTimeoutMs(header)).toBeCloseTo(expected, 9);
  });

  it.each(['', '1', 'm', '1s', '-1m', '1.5S', '123456789m', '1m ', ' 1m', '1mm', '0x1m'])(
    'refuses "%s"',
    (header) => {
      expect(() => parseTimeoutMs(header)).toThrow(
        expect.objectContaining({
          code: 3,
          message: `Read a gRPC call: its grpc-timeout is "${header}", expected 1 to 8 digits and one of H M S m u n`,
        }),
      );
    },
  );
});
