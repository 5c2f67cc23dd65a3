import { defineConfig } from 'vitest/config';

/** A poll ends as soon as it holds. How long that takes on a busy machine proves nothing, where a test does not say so. */
const poll = { timeout: 10_000 };

/**
 * `unit` is what `npm run check` runs all day; `e2e` starts whole farms and real clients, one file at a time; `faults` is
 * the fault bar, which `npm run faults` runs by itself and prints as a table.
 */
export default defineConfig({
  test: {
    reporters: ['default', ['json', { outputFile: '.ingot/test-report.json' }]],
    projects: [
      {
        test: {
          name: 'unit',
          expect: { poll },
          include: ['test/*.test.ts', 'test/{core,proto,cache,scheduler,worker,cli}/**/*.test.ts'],
          testTimeout: 15_000,
        },
      },
      {
        test: {
          name: 'e2e',
          expect: { poll },
          include: ['test/e2e/**/*.test.ts'],
          // Each starts processes of its own.
          maxConcurrency: 3,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'faults',
          expect: { poll },
          include: ['test/faults/**/*.test.ts'],
          // Each starts processes of its own.
          maxConcurrency: 3,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
