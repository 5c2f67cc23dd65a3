import { expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { parseCount, parseCpuMillis, parseMemoryBytes } from '../../../scheduler/matching/quantity.ts';
import { thrown } from '../../setup/rejection.ts';

test.each([
  ['1', 1000],
  ['0.5', 500],
  ['2.25', 2250],
  ['0.0001', 1],
  ['4096', 4_096_000],
])('reads %s cores as %i thousandths', (text, millis) => {
  expect(parseCpuMillis(text, 'cpu')).toBe(millis);
});

test.each(['', '0', '-1', '1e3', '4097', 'two', '1.', 'NaN', '0x10'])('refuses %j cores', (text) => {
  const error = thrown(() => parseCpuMillis(text, 'cpu'));
  expect(error.code).toBe(Code.INVALID_ARGUMENT);
  expect(error.message).toBe(
    `platform property cpu is ${JSON.stringify(text)}, expected a number of cores from 0.001 to 4096`,
  );
});

test.each([
  ['1024', 1024],
  ['4GiB', 4 * 2 ** 30],
  ['4 GiB', 4 * 2 ** 30],
  ['0.5GiB', 2 ** 29],
  ['500MB', 5e8],
  ['1kB', 1000],
  ['7B', 7],
])('reads %j as %i bytes', (text, bytes) => {
  expect(parseMemoryBytes(text, 'memory')).toBe(bytes);
});

test.each(['', '0', '-4GiB', '4G', '4gib', '4GiBs', 'GiB', '1e9', '99999999TiB'])(
  'refuses %j bytes',
  (text) => {
    expect(thrown(() => parseMemoryBytes(text, 'gpu.memory')).message).toBe(
      `platform property gpu.memory is ${JSON.stringify(text)}, expected bytes or an amount such as 512MiB or 4GiB`,
    );
  },
);

test('reads whole numbers up to a limit', () => {
  expect(parseCount('0', 'gpu.count', 64)).toBe(0);
  expect(parseCount('64', 'gpu.count', 64)).toBe(64);
  for (const text of ['65', '-1', '1.5', '', 'one']) {
    expect(thrown(() => parseCount(text, 'gpu.count', 64)).message).toBe(
      `platform property gpu.count is ${JSON.stringify(text)}, expected a whole number from 0 to 64`,
    );
  }
});
