import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Deadlines } from '../../../core/rpc/rpc-deadlines.ts';

describe('Deadlines', () => {
  it('calls each listener once its time has come and not before, whatever order they were added in', async () => {
    const deadlines = new Deadlines();
    const calls: { readonly afterMs: number; readonly lateMs: number }[] = [];
    const startMs = performance.now();
    for (const afterMs of [120, 30, 0, 70]) {
      const atMs = startMs + afterMs;
      deadlines.add(atMs, { onDeadline: () => calls.push({ afterMs, lateMs: performance.now() - atMs }) });
    }
    await expect.poll(() => calls.length).toBe(4);
    expect(calls.map(({ afterMs }) => afterMs)).toEqual([0, 30, 70, 120]);
    for (const { lateMs } of calls) expect(lateMs).toBeGreaterThanOrEqual(0);
    deadlines.close();
  });

  it('does not call one that was removed, nor any once it is closed', async () => {
    const deadlines = new Deadlines();
    const called: string[] = [];
    const listener = (name: string) => ({ onDeadline: () => called.push(name) });
    const removed = listener('removed');
    const atMs = performance.now() + 20;
    deadlines.add(atMs, removed);
    deadlines.add(atMs, listener('kept'));
    deadlines.add(atMs + 400, listener('closed'));
    deadlines.remove(atMs, removed);
    await expect.poll(() => called).toEqual(['kept']);
    deadlines.close();
    await sleep(450);
    expect(called).toEqual(['kept']);
  });

  it('takes deadlines further away than a timer can wait', () => {
    const deadlines = new Deadlines();
    deadlines.add(2 ** 40, { onDeadline: () => undefined });
    deadlines.close();
  });
});
