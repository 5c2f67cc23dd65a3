import { expect, test } from 'vitest';
import { WorkerProperty_Treatment as Treatment } from '../../../proto/gen/ingot/v1/bus.ts';
import { propertySatisfied } from '../../../scheduler/matching/property-match.ts';
import { offered } from './workers.ts';

test.each([
  ['EXACT', ['linux'], 'linux', true],
  ['EXACT', ['linux'], 'Linux', false],
  ['EXACT', ['linux', 'Linux'], 'Linux', true],
  ['EXACT', [''], '', true],
  ['MINIMUM', ['535'], '525', true],
  ['MINIMUM', ['535'], '535', true],
  ['MINIMUM', ['535'], '550', false],
  ['MINIMUM', ['10'], '9', true],
  ['MINIMUM', ['many'], '1', false],
  ['MINIMUM', ['5'], 'many', false],
  ['MINIMUM', ['5'], '', false],
  ['PREFIX', ['x86-64-v3'], 'x86-64', true],
  ['PREFIX', ['x86-64'], 'x86-64-v3', false],
  ['ANY', [''], 'docker://anything', true],
] as const)('treatment %s, worker has %j, wanted %j: %s', (treatment, values, value, satisfied) => {
  const properties = offered({ key: values }, Treatment[treatment]);
  expect(propertySatisfied({ name: 'key', value }, properties)).toBe(satisfied);
});

test('a property of another name satisfies nothing, whatever its treatment', () => {
  expect(propertySatisfied({ name: 'a', value: 'x' }, offered({ b: ['x'] }, Treatment.ANY))).toBe(false);
});

test('each value of a name is compared in its own way', () => {
  const properties = [...offered({ key: ['one'] }), ...offered({ key: ['two-x'] }, Treatment.PREFIX)];
  expect(propertySatisfied({ name: 'key', value: 'two' }, properties)).toBe(true);
  expect(propertySatisfied({ name: 'key', value: 'on' }, properties)).toBe(false);
});

test('a treatment this version does not know satisfies nothing', () => {
  expect(propertySatisfied({ name: 'key', value: 'x' }, offered({ key: ['x'] }, 17 as Treatment))).toBe(
    false,
  );
});
