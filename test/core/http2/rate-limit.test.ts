import { describe, expect, it } from 'vitest';
import { RateLimit } from '../../../core/http2/rate-limit.ts';

describe('RateLimit', () => {
  it('allows a burst, then what the rate gives, and never more than a burst at once', () => {
    const limit = new RateLimit({ burst: 3, perSecond: 10 }, 0);
    const takeAt = (ms: number, count: number) => Array.from({ length: count }, () => limit.take(ms));
    expect(takeAt(0, 4)).toEqual([true, true, true, false]);
    expect(takeAt(50, 1)).toEqual([false]);
    expect(takeAt(100, 2)).toEqual([true, false]);
    expect(takeAt(60_000, 4)).toEqual([true, true, true, false]);
  });
});
