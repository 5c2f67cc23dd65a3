import { expect, test } from 'vitest';
import { WorkerProperty_Treatment as Treatment } from '../../../proto/gen/ingot/v1/bus.ts';
import { workerProperties } from '../../../worker/inventory/worker-properties.ts';

const OFFERS = {
  level: 'strict',
  image: 'host-0123456789ab',
  toolchains: [],
  pool: 'big',
  acceptedNames: ['container-image'],
  properties: new Map([['team', 'ml']]),
} as const;

test('announces the standard words, the image, and what the operator said', () => {
  const shown = workerProperties(OFFERS, 'x64').map(({ name, value, treatment }) => [name, value, treatment]);
  expect(shown).toEqual([
    ['ISA', 'x86-64', Treatment.EXACT],
    ['InputRootAbsolutePath', '/ingot/work', Treatment.ANY],
    ['OSFamily', 'Linux', Treatment.EXACT],
    ['OSFamily', 'linux', Treatment.EXACT],
    ['container-image', '', Treatment.ANY],
    ['image', 'host-0123456789ab', Treatment.EXACT],
    ['pool', 'big', Treatment.EXACT],
    ['sandbox', 'strict', Treatment.EXACT],
    ['team', 'ml', Treatment.EXACT],
  ]);
});

test('without a sandbox no input root can be promised', () => {
  const names = workerProperties({ ...OFFERS, level: 'none' }).map(({ name }) => name);
  expect(names).not.toContain('InputRootAbsolutePath');
});
