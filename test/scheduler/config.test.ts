import { expect, test } from 'vitest';
import { readConfig } from '../../core/config/config.ts';
import { schedulerConfigSchema } from '../../scheduler/config.ts';
import { thrown } from '../setup/rejection.ts';

const read = (flags: object) =>
  readConfig({ schema: schedulerConfigSchema, flags: { ...flags }, environment: {} });

test('needs a folder, and has defaults for the rest', () => {
  expect(read({ data: '/var/lib/farm' })).toEqual({
    data: '/var/lib/farm',
    operationsQueuedMax: 100_000,
    attemptsMax: 3,
    actionTimeoutMax: 86_400_000,
    workerWait: 60_000,
    abandonQueuedAfter: 60_000,
    abandonExecutingAfter: 600_000,
    completedKept: 600_000,
  });
});

test('names everything that is wrong', () => {
  const { message } = thrown(() => read({ attemptsMax: '0', workerWait: '60' }));
  for (const part of ['--data', '--attempts-max', '--worker-wait']) expect(message).toContain(part);
});
