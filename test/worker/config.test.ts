import { expect, test } from 'vitest';
import { readConfig } from '../../core/config/config.ts';
import { workerConfigSchema } from '../../worker/config.ts';
import { thrown } from '../setup/rejection.ts';

test('a folder is all a worker must be told', () => {
  const config = readConfig({ schema: workerConfigSchema, environment: {}, flags: { data: '/data' } });
  expect(config).toMatchObject({
    sandbox: 'strict',
    heartbeatInterval: 2000,
    accept: [],
  });
  expect(config.slots).toBeGreaterThan(0);
  expect(config.memory).toBeGreaterThan(64 * 2 ** 20);
});

test('flags are read as people write them', () => {
  const flags = {
    data: '/data',
    accept: ['container-image'],
    property: ['team=ml', 'rack=7'],
    memory: '4GiB',
    sandbox: 'basic',
  };
  const config = readConfig({ schema: workerConfigSchema, environment: {}, flags });
  expect(config.property).toEqual(
    new Map([
      ['team', 'ml'],
      ['rack', '7'],
    ]),
  );
  expect(config).toMatchObject({ accept: ['container-image'], memory: 4 * 2 ** 30, sandbox: 'basic' });
});

test('all that is wrong is said together', () => {
  const flags = { data: '', sandbox: 'loose', slots: 0, workerId: 'a.b' };
  const error = thrown(() => readConfig({ schema: workerConfigSchema, environment: {}, flags }));
  for (const flag of ['--data', '--sandbox', '--slots', '--worker-id'])
    expect(error.message).toContain(`${flag}: `);
});
