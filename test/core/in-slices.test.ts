import { expect, it } from 'vitest';
import { inSlices } from '../../core/in-slices.ts';

it('keeps the order of the items and starts no more than a slice at once', async () => {
  let running = 0;
  let most = 0;
  const items = Array.from({ length: 10 }, (_, index) => index);
  const double = async (item: number) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, (10 - item) % 3));
    running -= 1;
    return item * 2;
  };
  const results = await inSlices(items, 4, (slice) => Promise.all(slice.map(double)));
  expect(results).toEqual(items.map((item) => item * 2));
  expect(most).toBe(4);
});

it('starts all that fit one slice together', async () => {
  const started: number[] = [];
  const all = inSlices([1, 2, 3], 3, async (slice) => {
    started.push(...slice);
    return [];
  });
  expect(started).toEqual([1, 2, 3]);
  await all;
});

it('lets others run during many slices of work that never waits', async () => {
  let turns = 0;
  let counting = true;
  const count = (): void => {
    turns += 1;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  await inSlices(Array.from({ length: 40 }), 1, async () => {
    const end = performance.now() + 3;
    while (performance.now() < end);
    return [];
  });
  counting = false;
  expect(turns).toBeGreaterThan(4);
});

it('fails with the first slice that fails', async () => {
  await expect(inSlices([1], 1, async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
});
