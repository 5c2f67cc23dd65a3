import { expect, test } from 'vitest';
import { internal, unavailable } from '../../core/error.ts';
import { silentLogger } from '../../core/log/logger.ts';
import { StoreRetries } from '../../worker/store-retries.ts';
import { rejection } from '../setup/rejection.ts';

function failing(times: number, error = unavailable('the cache is away')) {
  let calls = 0;
  const task = async (): Promise<number> => {
    calls += 1;
    if (calls <= times) throw error;
    return calls;
  };
  return { task, calls: () => calls };
}

test('waits for a store that is away', async () => {
  const retries = new StoreRetries({ logger: silentLogger, windowMs: 5000, firstDelayMs: 5 });
  expect(await retries.run('it', failing(2).task)).toBe(3);
});

test('gives up when the window is over', async () => {
  const retries = new StoreRetries({ logger: silentLogger, windowMs: 50, firstDelayMs: 30 });
  const { task, calls } = failing(100);
  expect((await rejection(retries.run('it', task))).message).toBe('the cache is away');
  expect(calls()).toBe(2);
});

test('does not try again what no waiting mends', async () => {
  const retries = new StoreRetries({ logger: silentLogger, windowMs: 5000, firstDelayMs: 5 });
  const { task, calls } = failing(1, internal('broken'));
  expect((await rejection(retries.run('it', task))).message).toBe('broken');
  expect(calls()).toBe(1);
});
