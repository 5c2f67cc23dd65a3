import { describe, expect, test, vi } from 'vitest';
import { mapConcurrent, Semaphore } from '../../core/concurrency.ts';
import { notFound } from '../../core/error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { rejection } from '../setup/rejection.ts';

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('mapConcurrent', () => {
  test('keeps the order of the items whatever the order of the ends', async () => {
    const results = await mapConcurrent([30, 1, 15, 5], 4, async (ms) => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      return ms * 2;
    });
    expect(results).toEqual([60, 2, 30, 10]);
  });

  test('runs no more than the limit at once, and as many as it', async () => {
    let running = 0;
    let most = 0;
    await mapConcurrent(Array(50).keys(), 7, async () => {
      running += 1;
      most = Math.max(most, running);
      await tick();
      running -= 1;
    });
    expect(most).toBe(7);
  });

  test('of nothing is nothing', async () => {
    expect(await mapConcurrent([], 3, async (item) => item)).toEqual([]);
  });

  test('throws the first error, aborts the others, waits for them, and starts no more', async () => {
    const failure = notFound('third is bad');
    const log: string[] = [];
    const outcome = rejection(
      mapConcurrent([0, 1, 2, 3, 4, 5], 3, async (item, signal) => {
        log.push(`start ${item}`);
        await tick();
        if (item === 2) throw failure;
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        await tick();
        log.push(`end ${item} ${signal.reason.message}`);
      }),
    );
    expect(await outcome).toBe(failure);
    expect(log).toEqual([
      'start 0',
      'start 1',
      'start 2',
      'end 0 another part of the operation failed',
      'end 1 another part of the operation failed',
    ]);
  });

  test('an abort from outside reaches every task and is thrown', async () => {
    const controller = new AbortController();
    const reason = notFound('enough');
    let started = 0;
    const outcome = rejection(
      mapConcurrent(
        [1, 2, 3, 4],
        2,
        async (_, signal) => {
          started += 1;
          await new Promise<never>((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason)),
          );
        },
        { signal: controller.signal },
      ),
    );
    await tick();
    controller.abort(reason);
    expect(await outcome).toBe(reason);
    expect(started).toBe(2);
  });

  test('does not begin under an aborted signal', async () => {
    const reason = notFound('enough');
    const fn = vi.fn(async () => undefined);
    expect(await rejection(mapConcurrent([1], 1, fn, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(fn).not.toHaveBeenCalled();
  });

  test.for([0, -1, 1.5, Number.NaN])('refuses %d as a limit', async (limit) => {
    await expect(mapConcurrent([], limit, async () => undefined)).rejects.toThrow(
      `limit must be a positive integer, not ${limit}`,
    );
  });
});

describe('Semaphore', () => {
  test('hands out as many permits as it has, then first come, first served', async () => {
    const semaphore = new Semaphore(2);
    const [first, second] = [await semaphore.acquire(), await semaphore.acquire()];
    const order: string[] = [];
    const third = semaphore.acquire().then((permit) => {
      order.push('third');
      return permit;
    });
    const fourth = semaphore.acquire().then((permit) => {
      order.push('fourth');
      return permit;
    });
    await tick();
    expect([order, semaphore.waiting]).toEqual([[], 2]);
    second[Symbol.dispose]();
    await tick();
    expect(order).toEqual(['third']);
    first[Symbol.dispose]();
    (await third)[Symbol.dispose]();
    (await fourth)[Symbol.dispose]();
    expect(order).toEqual(['third', 'fourth']);
  });

  test('a permit given back twice counts once', async () => {
    const semaphore = new Semaphore(1);
    const permit = await semaphore.acquire();
    permit[Symbol.dispose]();
    permit[Symbol.dispose]();
    await semaphore.acquire();
    let granted = false;
    void semaphore.acquire().then(() => {
      granted = true;
    });
    await tick();
    expect(granted).toBe(false);
  });

  test('who aborts while waiting leaves the queue, and the next one gets the permit', async () => {
    const semaphore = new Semaphore(1);
    const held = await semaphore.acquire();
    const controller = new AbortController();
    const impatient = rejection(semaphore.acquire({ signal: controller.signal }));
    const patient = semaphore.acquire();
    const reason = notFound('enough');
    controller.abort(reason);
    expect(await impatient).toBe(reason);
    expect(semaphore.waiting).toBe(1);
    held[Symbol.dispose]();
    (await patient)[Symbol.dispose]();
    await semaphore.acquire();
  });

  test('run gives the permit back when its task fails', async () => {
    const semaphore = new Semaphore(1);
    expect(await rejection(semaphore.run(() => Promise.reject(notFound('bad'))))).toMatchObject({
      code: Code.NOT_FOUND,
    });
    expect(await semaphore.run(async () => 'ran')).toBe('ran');
  });

  test('refuses an aborted signal and a senseless number of permits', async () => {
    const reason = notFound('enough');
    expect(await rejection(new Semaphore(1).acquire({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(() => new Semaphore(0)).toThrow('permits must be a positive integer, not 0');
  });
});
