import { expect, it } from 'vitest';
import { hashingTimeoutMs } from '../../../cache/remote/hashing-timeout.ts';
import { Digest } from '../../../core/digest.ts';

it('gives a server a minute, and a millisecond for each 16 KiB it has to hash', () => {
  const hash = 'a'.repeat(64);
  expect(hashingTimeoutMs(Digest.of(hash, 1))).toBe(60_001);
  expect(hashingTimeoutMs(Digest.of(hash, 16 * 1024 * 1000))).toBe(61_000);
  expect(hashingTimeoutMs(Digest.of(hash, 100 * 2 ** 30))).toBeGreaterThan(100 * 60_000);
});
