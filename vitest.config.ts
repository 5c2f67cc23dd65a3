import { defineConfig } from 'vitest/config';

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
          include: ['test/*.test.ts', 'test/{core,proto,cache,scheduler,worker,cli}/**/*.test.ts'],
          testTimeout: 15_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
