import { describe, expect, it } from 'vitest';
import { InvocationLeases } from '../../../cache/disk/invocation-leases.ts';

describe('InvocationLeases', () => {
  it('hold until the invocation was silent for the TTL, and any call renews all it holds', () => {
    let now = 0;
    const leases = new InvocationLeases({ ttlMs: 100, now: () => now });
    leases.of('a')?.add(5);
    leases.of('b')?.add(6);
    now = 90;
    leases.of('a');
    now = 150;
    expect([leases.isHeld(5), leases.isHeld(6), leases.size]).toEqual([true, false, 1]);
    now = 191;
    expect([leases.isHeld(5), leases.size]).toEqual([false, 0]);
    leases.of('a');
    expect(leases.isHeld(5)).toBe(false);
  });

  it('tell ids apart, and forget one that is another blob from now on', () => {
    const leases = new InvocationLeases({ ttlMs: 100, now: () => 0 });
    for (const id of [0, 31, 32, 100_000]) leases.of('a')?.add(id);
    expect([0, 1, 31, 32, 33, 99_999, 100_000, 5_000_000].filter((id) => leases.isHeld(id))).toEqual([
      0, 31, 32, 100_000,
    ]);
    leases.forget(32);
    expect(leases.isHeld(32)).toBe(false);
    expect(leases.isHeld(31)).toBe(true);
  });

  it('are shared by those beyond 64 invocations, as long as the last of them lives', () => {
    let now = 0;
    const leases = new InvocationLeases({ ttlMs: 100, now: () => now });
    for (let number = 0; number < 80; number += 1) {
      now = number;
      leases.of(`build ${number}`)?.add(number);
    }
    expect(leases.size).toBe(65);
    now = 170;
    expect(leases.isHeld(63)).toBe(false);
    expect(leases.isHeld(64)).toBe(true);
    now = 180;
    expect(leases.isHeld(64)).toBe(false);
  });

  it('are not begun by calls that name no invocation', () => {
    const leases = new InvocationLeases({ ttlMs: 100 });
    expect(leases.of(undefined)).toBeUndefined();
    expect(leases.of('')).toBeUndefined();
  });
});
