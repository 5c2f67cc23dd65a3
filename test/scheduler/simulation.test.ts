import { expect, test } from 'vitest';
import { simulate } from './simulation/sim-farm.ts';

/** Seeds that once found a bug, each with the bug. */
const FOUND: readonly (readonly [seed: number, bug: string])[] = [
  [1773, 'a lease taken up again although its room was given away'],
  [5585, 'the same, after the worker had been silent'],
];

/** How many seeds to run; the farm's CI asks for 10,000. */
const SEEDS = Number(process.env.INGOT_SIMULATIONS ?? 1000);

test.each(FOUND)('seed %i: %s', (seed) => {
  simulate(seed);
});

test(`keeps its promises in ${SEEDS} simulated farms under faults`, { timeout: 600_000 }, () => {
  const ends = { done: 0, hit: 0, failed: 0, refused: 0, gaveUp: 0 };
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    try {
      for (const end of simulate(seed).ends) {
        if (end === 'done' || end === 'hit') ends[end] += 1;
        else if (end.startsWith('failed')) ends.failed += 1;
        else if (end.startsWith('refused')) ends.refused += 1;
        else ends.gaveUp += 1;
      }
    } catch (error) {
      throw new Error(`simulation with seed ${seed}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
  }
  // Runs in which nothing happens would prove nothing.
  for (const [end, count] of Object.entries(ends)) expect(count, end).toBeGreaterThan(SEEDS / 100);
});

test('runs alike for the same seed', () => {
  expect(simulate(7)).toEqual(simulate(7));
});
