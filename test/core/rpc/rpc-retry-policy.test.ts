import { describe, expect, it } from 'vitest';
import { notFound, unavailable } from '../../../core/error.ts';
import { retryInfo } from '../../../core/error-details.ts';
import { retryDelayMs } from '../../../core/rpc/rpc-retry-policy.ts';

const policy = { attemptsMax: 6, firstBackoffMs: 100, backoffMsMax: 1000 };
const delays = (error: unknown, random: number) =>
  [1, 2, 3, 4, 5, 6].map((attempt) => retryDelayMs(policy, attempt, { error, random: () => random }));

describe('retryDelayMs', () => {
  it('doubles up to the maximum, for as many attempts as there are', () => {
    expect(delays(unavailable(''), 1)).toEqual([100, 200, 400, 800, 1000, undefined]);
  });

  it('spreads from half to all of the backoff', () => {
    expect(delays(unavailable(''), 0)).toEqual([50, 100, 200, 400, 500, undefined]);
  });

  it('waits as long as the server asks, or its own backoff when that is longer', () => {
    expect(delays(unavailable('', { details: [retryInfo(12_345)] }), 0.5)[0]).toBe(12_345);
    expect(delays(unavailable('', { details: [retryInfo(300)] }), 1)).toEqual([
      300,
      300,
      400,
      800,
      1000,
      undefined,
    ]);
  });

  it('does not retry after anything but UNAVAILABLE', () => {
    expect(delays(notFound(''), 1)[0]).toBeUndefined();
    expect(delays(new Error('UNAVAILABLE'), 1)[0]).toBeUndefined();
  });
});
